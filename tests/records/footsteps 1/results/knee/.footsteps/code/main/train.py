import footsteps
from footsteps import LTParser

parser = LTParser("train")
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--layers", type=int, nargs="+", default=[64, 32])
parser.add_argument("--note", default="")
args = parser.parse_args()
data = open("data.csv").read()
with open(footsteps.output_dir + "weights.csv", "w") as f:
    f.write("6, 9, 42")
footsteps.record(accuracy=0.9)
# edited
