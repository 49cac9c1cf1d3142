/**
 * Faults of the sandbox in memory.
 */

const commands = "src/layers/virtual/commands.ts"
const files = "src/layers/virtual/files.ts"
const guest = "src/layers/virtual/guest.ts"
const rules = "src/layers/sandbox/rules.ts"
const snapshot = "src/layers/virtual/snapshot.ts"
const tree = "src/layers/virtual/Tree.ts"
const byBelow = ["test/layers/virtual/below.test.ts"]
const byCommands = ["test/layers/virtual/commands.test.ts"]
const authorsOf = "src/layers/virtual/authors.ts"
const changesOf = "src/layers/virtual/Changes.ts"
const rewindOf = "src/layers/virtual/rewind.ts"
const byRewind = ["test/layers/virtual/rewind.test.ts"]
const byTree = ["test/layers/virtual/Tree.test.ts"]

export const virtuals = [
  {
    name: "virtual: a link in the root's own place is followed",
    file: files,
    find: "  if (!isWithin(root, pathOf(found))) throw outside()\n",
    replace: "",
    tests: byTree
  },
  {
    name: "virtual: what only begins with the root's name is within it",
    file: rules,
    find: `outer.endsWith("/") ? outer : \`\${outer}/\``,
    replace: "outer",
    tests: byTree
  },
  {
    name: "virtual: .GIT is written to",
    file: rules,
    find: "fold = (name: string): string => name.toLowerCase()",
    replace: "fold = (name: string): string => name",
    tests: byTree
  },
  {
    name: "virtual: a file of two names is written",
    file: files,
    find: "node.names > 1",
    replace: "node.names > 2",
    tests: byTree
  },
  {
    name: "virtual: a list stands as it was made",
    file: files,
    find: "[...entries.keys()].toSorted()",
    replace: "[...entries.keys()]",
    tests: byTree
  },
  {
    name: "virtual: a file is named as a folder",
    file: files,
    find: `  if (at.path.endsWith("/")) throw new Refusal("it is named as a folder")\n`,
    replace: "",
    tests: byTree
  },
  {
    name: "virtual: a copy shares its bytes with what it was made of",
    file: tree,
    find: "const bytes = new Uint8Array(content)",
    replace: "const bytes = content",
    tests: byTree
  },
  {
    name: "virtual: what is appended takes no room",
    file: tree,
    find: "    this.#charge(added.length + (file.bytes === undefined ? before.length : 0), asked)\n",
    replace: "",
    tests: byTree
  },
  {
    name: "virtual: what is removed gives no room back",
    file: tree,
    find: "--node.names === 0) this.#bytes -= node.bytes?.length ?? 0",
    replace: "--node.names === 0) this.#bytes -= 0",
    tests: byTree
  },
  {
    name: "virtual: a name that is removed is counted on",
    file: tree,
    find: `node.kind === "file" && --node.names === 0`,
    replace: `node.kind === "file" && node.names === 1`,
    tests: byTree
  },
  {
    name: "virtual: a folder is moved into itself",
    file: tree,
    find: `every((part, i) => real[i] === part)) {\n      throw fault("EINVAL", "cannot move`,
    replace: `every((part, i) => real[i] !== part)) {\n      throw fault("EINVAL", "cannot move`,
    tests: byTree
  },
  {
    name: "virtual: an absolute link starts from where it stands",
    file: tree,
    find: "          folders.length = 1\n          real = []\n",
    replace: "",
    tests: byTree
  },
  {
    name: "virtual: a folder has the time of before something was named in it",
    file: tree,
    find: "    folder.entries!.set(name, node)\n    folder.mtime = this.#now()\n",
    replace: "    folder.entries!.set(name, node)\n",
    tests: byTree
  },
  {
    name: "virtual: a folder has the time of before something was taken out of it",
    file: tree,
    find: "    folder.entries!.delete(name)\n    folder.mtime = this.#now()\n",
    replace: "    folder.entries!.delete(name)\n",
    tests: byTree
  },
  {
    name: "virtual: what does not exist has a folder above it",
    file: tree,
    find: `        if (ahead.includes("..")) throw absent("open", asked)\n`,
    replace: "",
    tests: byTree
  },
  {
    name: "virtual: a snapshot makes two files of one with two names",
    file: snapshot,
    find: "if (it.names > 1) seen.set(it.id, place)",
    replace: "if (it.names > 2) seen.set(it.id, place)",
    tests: byTree
  },
  {
    name: "virtual: folders of a snapshot have the time of their restoring",
    file: snapshot,
    find: `if (entry.type === "folder") tree.putFolder(entry.path, entry)`,
    replace: `if (entry.type === "folder") tree.putFolder(entry.path, { mode: entry.mode })`,
    tests: byTree
  },
  {
    name: "virtual: an entry of a snapshot leads out of its folder",
    file: snapshot,
    find: " && path.normalize(place) === place",
    replace: "",
    tests: byTree
  },
  {
    name: "virtual: a restored sandbox has no bound",
    file: guest,
    find: "plant(args, setup.limits.files)",
    replace: "plant(args, Number.POSITIVE_INFINITY)",
    tests: byCommands
  },
  {
    name: "virtual: a timeout of nothing is none",
    file: "src/layers/sandbox/request.ts",
    find: "? undefined : clamp(timeout, 1,",
    replace: "|| timeout < 1 ? undefined : clamp(timeout, 1,",
    tests: byCommands
  },
  {
    name: "virtual: a restored sandbox has no root",
    file: guest,
    find: "next = await furnished(plant(args, setup.limits.files))",
    replace: "next = plant(args, setup.limits.files)",
    tests: byCommands
  },
  {
    name: "virtual: a folder that was restored is made anew",
    file: guest,
    find: "found !== undefined && found.node === undefined",
    replace: "found !== undefined",
    tests: byCommands
  },
  {
    name: "virtual: a sleep outlives its command",
    file: guest,
    find: "          forget(message.id)\n",
    replace: "",
    tests: byCommands
  },
  {
    name: "virtual: a sleep ends with another's command",
    file: guest,
    find: "sleeper.exec === exec",
    replace: "sleeper.exec > 0",
    tests: byCommands
  },
  {
    name: "virtual: a command's own variables stand behind the sandbox's",
    file: commands,
    find: "{ ...env, ...exec.env }",
    replace: "{ ...exec.env, ...env }",
    tests: byCommands
  },
  {
    name: "virtual: a shell starts threads of its own",
    file: commands,
    find: `.filter((name) => name !== "sqlite3")`,
    replace: "",
    tests: byCommands
  },
  {
    name: "virtual: of a folder below the whole file is read for a part of it",
    file: tree,
    find: "this.#below!.read(file.below, offset, limit)",
    replace: "this.#below!.read(file.below)",
    tests: byTree
  },
  {
    name: "virtual: any length of a file below is read at once",
    file: "src/layers/virtual/below.ts",
    find: "if (length > maxRead)",
    replace: "if (length > 4 * maxRead)",
    tests: byBelow
  },
  {
    name: "virtual: a link that names the folder below leads nowhere",
    file: "src/layers/virtual/below.ts",
    find: "target : path.posix.join(mount, inside)",
    replace: "target : target",
    tests: byCommands
  },
  {
    name: "virtual: a folder below that was swapped for a link is listed",
    file: "src/layers/virtual/below.ts",
    find: "if ((await fs.realpath(place)) !== place) throw replaced(asked)",
    replace: "void replaced",
    tests: byCommands
  },
  {
    name: "restored: what another changed since is overwritten",
    file: rewindOf,
    find: `else if (!isSame(is, of.changes.at(-1)!.after)) this.conflict(place, "it was changed by somebody else since")\n`,
    replace: "",
    tests: byRewind
  },
  {
    name: "restored: the first change on the way is taken for the last",
    file: rewindOf,
    find: "changes.findLast(({ by }) =>",
    replace: "changes.find(({ by }) =>",
    tests: byRewind
  },
  {
    name: "restored: places off the way count",
    file: rewindOf,
    find: "return place !== undefined && on.has(place)",
    replace: "return place !== undefined",
    tests: byRewind
  },
  {
    name: "restored: what is forgotten is guessed",
    file: rewindOf,
    find: "return forgotten ? undefined : { standing: changes[0]!.before }",
    replace: "return { standing: changes[0]?.before }",
    tests: byRewind
  },
  {
    name: "restored: it is not noted",
    file: rewindOf,
    find: "      this.changes.note(this.by, place, is, this.standing(place))\n",
    replace: "",
    tests: byRewind
  },
  {
    name: "restored: folders go before what they hold",
    file: rewindOf,
    find: "of this.planned.toReversed())",
    replace: "of this.planned)",
    tests: byRewind
  },
  {
    name: "restored: what comes comes before its folder",
    file: rewindOf,
    find: "of remaining.toReversed())",
    replace: "of remaining)",
    tests: byRewind
  },
  {
    name: "restored: what has no room is lost",
    file: rewindOf,
    find: "        putBack()\n",
    replace: "",
    tests: byRewind
  },
  {
    name: "restored: places that it was not told of are off the way",
    file: rewindOf,
    find: "if (places.some((place) => !told.has(place))) return { places }\n",
    replace: "",
    tests: byRewind
  },
  {
    name: "restored: that older changes are gone is not told",
    file: rewindOf,
    find: "if (lost) this.conflict(",
    replace: "if (false) this.conflict(",
    tests: byRewind
  },
  {
    name: "restored: a folder is taken away with what others put there",
    file: tree,
    find: `if (node.kind === "folder" && node.entries?.size !== 0) return undefined\n`,
    replace: "",
    tests: byRewind
  },
  {
    name: "restored: bytes are shared where more can be appended",
    file: tree,
    find: "bytes === undefined || bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)",
    replace: "bytes",
    tests: byRewind
  },
  {
    name: "restored: bytes are not counted",
    file: tree,
    find: "      this.#bytes += bytes?.length ?? 0\n      made",
    replace: "      made",
    tests: byRewind
  },
  {
    name: "changes: a folder of the real one is moved without what it holds",
    file: tree,
    find: "const unlisted = found.node === undefined || !this.#isNoted(by) ? [] : unlistedOf(found.node)",
    replace: "const unlisted: ReadonlyArray<Folder> = []",
    tests: byRewind
  },
  {
    name: "changes: of a file of two names one is noted",
    file: tree,
    find: `if (node.kind !== "file" || node.names === 1) return`,
    replace: "if (node !== undefined) return",
    tests: byRewind
  },
  {
    name: "changes: a folder made on the way is nobody's",
    file: tree,
    find: "this.#put(this.#makeFolders(path.dirname(place), by)",
    replace: "this.#put(this.#makeFolders(path.dirname(place))",
    tests: byRewind
  },
  {
    name: "changes: the mode is nobody's",
    file: tree,
    find: "    this.#became(node, was, placeOf(real), by)\n",
    replace: "",
    tests: byRewind
  },
  {
    name: "changes: those at other places are one",
    file: changesOf,
    find: "b[i]!.session === session && b[i]!.place === place",
    replace: "b[i]!.session === session",
    tests: byRewind
  },
  {
    name: "changes: a buffer that several share is counted each time",
    file: changesOf,
    find: "if (times === 0) this.#taken",
    replace: "this.#taken",
    tests: byRewind
  },
  {
    name: "changes: the bytes of what is dropped are still counted",
    file: changesOf,
    find: "      this.#taken -= bytes.buffer.byteLength\n",
    replace: "",
    tests: byRewind
  },
  {
    name: "changes: all are kept",
    file: changesOf,
    find: "if (this.#taken <= this.#max) break",
    replace: "break",
    tests: byRewind
  },
  {
    name: "changes: it is not remembered of what the oldest were",
    file: changesOf,
    find: "      forgotten.add(path)\n",
    replace: "",
    tests: byRewind
  },
  {
    name: "changes: a session that is not known any more is a new one",
    file: changesOf,
    find: "      this.#lost = true\n",
    replace: "",
    tests: byRewind
  },
  {
    name: "changes: a task's are not those of who delegated it",
    file: authorsOf,
    find: "at = at.parent)",
    replace: "at = undefined)",
    tests: ["test/programs/restored.test.ts"]
  },
  {
    name: "changes: a plain async handler's are nobody's",
    file: authorsOf,
    find: "around !== undefined && FiberId",
    replace: "false && around !== undefined && FiberId",
    tests: ["test/programs/restored.test.ts"]
  },
  {
    name: "changes: those of a handler that was given up move on with its session",
    file: "src/programs/bodies.ts",
    find: "    lease.position = { row: journal.row, nextSeq: journal.nextSeq }\n",
    replace: "",
    tests: ["test/programs/restored.test.ts"]
  },
  {
    name: "changes: a snapshot that is restored forgets them",
    file: guest,
    find: "next.changes = tree.changes",
    replace: "next.changes = new Changes(setup.limits.changes)",
    tests: ["test/programs/restored.test.ts"]
  }
]
