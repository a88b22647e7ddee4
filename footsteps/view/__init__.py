"""Looking at runs: one HTML file that needs no server and no network, and how runs show themselves in notebooks.

`data` has the values, page.html, page.css and the scripts are the page, `page` joins them, `server`
serves the same page while runs go on, `notebook` has what a notebook shows of a run.
"""
