/**
 * Faults of the sandbox of this machine: what it writes, what it leaves running, and where it has one look for matches.
 */

const confine = "src/layers/sandbox/confine.ts"
const replace = "src/layers/sandbox/replace.ts"
const processes = "src/layers/sandbox/processes.ts"
const ripgrep = "src/layers/sandbox/ripgrep.ts"
const byWrite = ["test/layers/sandbox/write.test.ts"]
const byExec = ["test/layers/sandbox/exec.test.ts"]
const byEscapes = ["test/layers/escapes.test.ts"]
const byHygiene = ["test/layers/sandbox/hygiene.test.ts"]
const byCandidates = ["test/layers/sandbox/candidates.test.ts"]

export const sandbox = [
  {
    name: "sandbox: a draft that failed is left",
    file: replace,
    find: "    await fs.rm(draft, { force: true })\n",
    replace: "",
    tests: byWrite
  },
  {
    name: "sandbox: a written file goes on to run with its owner's rights",
    file: replace,
    find: "before.mode & 0o777",
    replace: "before.mode & 0o7777",
    tests: byWrite
  },
  {
    name: "sandbox: a file with two names is written",
    file: replace,
    find: "before.nlink > 1",
    replace: "before.nlink > 2",
    tests: byWrite
  },
  {
    name: "sandbox: folders made for a write that failed are left",
    file: confine,
    find: "      for (const folder of made.toReversed()) await removeFolder(folder)\n",
    replace: "",
    tests: byWrite
  },
  {
    name: "sandbox: what is protected is known by one of its names",
    file: "src/layers/sandbox/kept.ts",
    find: "for (const one of [listed, await realOf(listed)])",
    replace: "for (const one of [listed])",
    tests: byWrite
  },
  {
    name: "sandbox: a link that leads nowhere is written through",
    file: confine,
    find: "first?.isSymbolicLink() === true",
    replace: "first === null",
    tests: byWrite
  },
  {
    name: "sandbox: where an opened descriptor leads is not looked at",
    file: confine,
    find: "if (shown !== undefined && !isWithin(this.#real, shown)) throw outside()",
    replace: "void outside",
    tests: byEscapes
  },
  {
    name: "sandbox: an interrupted write goes on by itself",
    file: confine,
    find: `attemptToEnd("write", at.path, (signal) => folder.write(at, bytes, signal))`,
    replace: `void attemptToEnd || attempt("write", at.path, (signal) => folder.write(at, bytes, signal))`,
    tests: byHygiene
  },
  {
    name: "sandbox: a daemon outlives its command",
    file: processes,
    find: "isNear || (birth >= marks.birth && hasToken(pid, marks.token))",
    replace: "isNear",
    tests: byExec
  },
  {
    name: "sandbox: children are not known by their parents",
    file: processes,
    find: "if (found.has(parent)) found.add(pid)",
    replace: "if (found.has(parent)) void pid",
    tests: byExec
  },
  {
    name: "sandbox: who holds an output is let go",
    file: processes,
    find: "birth >= marks.birth && holdsAny(pid, marks.outputs)",
    replace: "birth > marks.birth + 1e9 && holdsAny(pid, marks.outputs)",
    tests: byExec
  },
  {
    name: "sandbox: bytes that are no UTF-8 hide a match",
    file: "src/layers/sandbox/superset.ts",
    find: `const any = "(?-u:[^\\\\n]{1,4})"`,
    replace: `const any = "."`,
    tests: byCandidates
  },
  {
    name: "sandbox: a line that ends in CRLF hides a match at its end",
    file: "src/layers/sandbox/superset.ts",
    find: `$: "(?:\\\\r?$)"`,
    replace: `$: "$"`,
    tests: byCandidates
  },
  {
    name: "sandbox: a boundary is asked for behind the end of a line",
    file: "src/layers/sandbox/superset.ts",
    find: 'inOrder || piece === "$"',
    replace: "inOrder || true",
    tests: byCandidates
  },
  {
    name: "sandbox: flags are left out before a repetition",
    file: "src/layers/sandbox/superset.ts",
    find: `if (flags[2] === ")" && `,
    replace: `if (flags[2] === "" && `,
    tests: byCandidates
  },
  {
    name: "sandbox: ignored files are candidates",
    file: ripgrep,
    find: "return yield* Effect.filter(found, files.comesTo)",
    replace: "return found",
    tests: byCandidates
  },
  {
    name: "sandbox: candidates pass over a folder that cannot be listed",
    file: "src/layers/sandbox/visited.ts",
    find: "yield* sandbox.list(place, cwd)",
    replace: "yield* Effect.orElseSucceed(sandbox.list(place, cwd), () => [])",
    tests: byCandidates
  },
  {
    name: "sandbox: candidates that were cut are told",
    file: ripgrep,
    find: " || result.right.dropped.stdout > 0",
    replace: "",
    tests: byCandidates
  },
  {
    name: "sandbox: a child whose parent ended on the signal is nobody's",
    file: processes,
    find: "isMarked || known.get(pid) === birth",
    replace: "isMarked",
    tests: byExec
  }
]
