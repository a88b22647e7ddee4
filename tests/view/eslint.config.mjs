// What the page's script is held to, all of its files as one; no package is needed but eslint.
const browser = ["document", "window", "location", "history", "addEventListener", "dispatchEvent", "fetch", "setTimeout",
  "clearTimeout", "requestAnimationFrame", "URLSearchParams", "Blob", "Response", "DecompressionStream", "atob", "Event", "URL", "performance"];

export default [{
  files: ["**/*.js"],
  languageOptions: { ecmaVersion: 2023, sourceType: "script", globals: Object.fromEntries(browser.map((name) => [name, "readonly"])) },
  rules: {
    "no-undef": "error", "no-unused-vars": "error", "no-eval": "error", "no-implied-eval": "error", "no-new-func": "error",
    "no-var": "error", "prefer-const": "error", eqeqeq: "error", "no-shadow": "error", "no-redeclare": "error",
    "no-implicit-coercion": "off", "no-unreachable": "error", "no-dupe-keys": "error", "no-fallthrough": "error",
    "max-lines-per-function": ["error", 45], "complexity": ["error", 16], "strict": ["error", "global"],
  },
}];
