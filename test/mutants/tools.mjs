/**
 * Faults in the built-in tools that write, and in how grep searches.
 */

const lock = "src/layers/tools/PathLock.ts"
const edit = "src/layers/tools/edit.ts"
const write = "src/layers/tools/write.ts"
const replacement = "src/layers/tools/Replacement.ts"
const grep = "src/layers/tools/grep.ts"
const search = "src/layers/tools/search.ts"
const walk = "src/layers/tools/walk.ts"
const widened = "src/layers/tools/widened.ts"
const byEdit = ["test/layers/tools/edit.test.ts"]
const byLock = ["test/layers/tools/PathLock.test.ts"]
const byCandidates = ["test/layers/tools/candidates.test.ts"]

export const tools = [
  {
    name: "PathLock: a place is forgotten while others wait for it",
    file: lock,
    find: "if (line.users === 0) lines",
    replace: "lines",
    tests: byLock
  },
  {
    name: "PathLock: a place is never forgotten",
    file: lock,
    find: "if (line.users === 0) lines",
    replace: "if (line.users < 0) lines",
    tests: byLock
  },
  {
    name: "edit: a file is locked by the name that it was called by",
    file: edit,
    find: "alone(sandbox, place, change)",
    replace: "alone(sandbox, path, change)",
    tests: byEdit
  },
  {
    name: "edit: one of several matches is replaced",
    file: edit,
    find: "if (matches.count > 1 && !replaceAll)",
    replace: "if (matches.separate > 1 && !replaceAll)",
    tests: byEdit
  },
  {
    name: "edit: an empty oldText is taken",
    file: edit,
    find: 'oldText === ""\n',
    replace: "oldText === undefined\n",
    tests: byEdit
  },
  {
    name: "edit: newlines come into a file of CRLF",
    file: edit,
    find: 'ends === "crlf" ? withCrlf(asked)',
    replace: "ends === undefined ? withCrlf(asked)",
    tests: byEdit
  },
  {
    name: "edit: a byte order mark is lost",
    file: edit,
    find: "edited.set(file.subarray(0, lead))",
    replace: "edited.fill(32, 0, lead)",
    tests: byEdit
  },
  {
    name: "edit: a match is not found again after a part of it",
    file: replacement,
    find: "while (matched > 0 && text[at] !== sought[matched]) matched = borders[matched]!",
    replace: "while (matched > 0 && text[at] !== sought[matched]) matched = 0",
    tests: byEdit
  },
  {
    name: "edit: matches that overlap are all replaced",
    file: replacement,
    find: "if (at < from) return\n    copy(at)",
    replace: "copy(at)",
    tests: byEdit
  },
  {
    name: "write: every file was there before",
    file: write,
    find: 'before._tag === "None"',
    replace: 'before._tag === "Some"',
    tests: ["test/layers/tools/write.test.ts"]
  },
  {
    name: "grep: candidates are read in the order in which they come",
    file: grep,
    find: "const files = walkOrder([...new Set(candidates)].filter((file) => isWanted(wanted, nameOnly, file)))",
    replace: "const files = [...new Set(candidates)].filter((file) => isWanted(wanted, nameOnly, file))",
    tests: byCandidates
  },
  {
    name: "grep: a candidate is searched as often as it comes",
    file: grep,
    find: "[...new Set(candidates)]",
    replace: "[...candidates]",
    tests: byCandidates
  },
  {
    name: "grep: candidates are not held against the glob",
    file: grep,
    find: ".filter((file) => isWanted(wanted, nameOnly, file))",
    replace: ".filter((file) => isWanted(everything, nameOnly, file))",
    tests: byCandidates
  },
  {
    name: "grep: what is below a folder comes before its own files",
    file: walk,
    find: "if (own !== 0) return own",
    replace: "if (own !== 0) return -own",
    tests: byCandidates
  },
  {
    name: "grep: lines that were passed over are not counted",
    file: search,
    find: "            this.#line += newlinesIn(several)\n",
    replace: "",
    tests: ["test/layers/tools/grep.test.ts"]
  },
  {
    name: "grep: the end of what is searched is taken for the end of a line",
    file: search,
    find: "isCut\n      ? findBefore(",
    replace: "isCut\n      ? find(",
    tests: ["test/layers/tools/grep.test.ts"]
  },
  {
    name: "grep: a sandbox is asked for a pattern without its ends",
    file: grep,
    find: "const asked = { pattern, ignoreCase",
    replace: 'const asked = { pattern: pattern.replace(/\\$$/, ""), ignoreCase',
    tests: byCandidates
  },
  {
    name: "grep: the end of a line is asked for in a text of several",
    file: widened,
    find: 'case "$":\n      return { length: 1, out: "" }',
    replace: 'case "$":\n      return { length: 1, out: "$" }',
    tests: ["test/layers/tools/grep.test.ts", ...byCandidates]
  }
]
