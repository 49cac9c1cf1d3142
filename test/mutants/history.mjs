/**
 * Faults in what a long history needs: compactions, archives, removals by age and size, and the search.
 */
const compaction = "src/programs/compaction.ts"
const context = "src/programs/context.ts"
const summary = "src/programs/summary.ts"
const conversation = "src/services/Conversation.ts"
const sequence = "src/services/Sequence.ts"
const history = "src/layers/History.ts"
const reading = "src/programs/archive/Reading.ts"
const prune = "src/programs/prune.ts"
const search = "src/programs/search.ts"
const snippet = "src/programs/snippet.ts"
const sqlForks = "src/layers/sql/forks.ts"
const sqlMeasure = "src/layers/sql/measure.ts"
const memory = "src/layers/MemorySessionStore.ts"
const sqlSearch = "src/layers/sql/search.ts"
const byContext = ["test/programs/context.test.ts", "test/programs/compaction.property.test.ts"]
const byCompaction = ["test/programs/compaction.test.ts", "test/programs/compactionCuts.test.ts"]
const byConversation = ["test/services/Conversation.test.ts", "test/services/history.property.test.ts"]
const bySequence = ["test/services/Sequence.test.ts"]
const byArchive = ["test/programs/archive.test.ts"]
const byPrune = ["test/programs/prune.test.ts"]
const bySearch = ["test/programs/search.test.ts"]
const byContract = ["test/layers/SqlSessionStore.test.ts"]

const fault = (tests) => (name, file, find, replace) => ({ name, file, find, replace, tests })
const inContext = fault(byContext)
const inCompaction = fault(byCompaction)
const inConversation = fault(byConversation)
const inSequence = fault(bySequence)
const inArchive = fault(byArchive)
const inJson = fault(["test/services/Json.test.ts"])
const inPrune = fault(byPrune)
const inSearch = fault(bySearch)
const inSql = fault(byContract)
const inMemory = fault(["test/layers/MemorySessionStore.test.ts"])

export const histories = [
  inContext("cut: results are parted from their calls", context, "if (starts[i]! > 0) at = i", "at = i"),
  inContext("cut: the last turn stays however large it is", context, "<= turn) at = last", "<= 9e9 + turn) at = last"),
  inContext(
    "cut: the scale does not count",
    context,
    "messagesTokens([messages[i]!]) * scale",
    "messagesTokens([messages[i]!])"
  ),
  inContext("cut: what the user said last is summarised by itself", context, "!own.has(part) && isOwn", "isOwn"),
  inContext("figures: nothing is kept free", context, "threshold = window - reserve", "threshold = window"),
  inCompaction("compaction: one follows the other", compaction, "&& tokens - last >= figures.spacing", ""),
  inCompaction(
    "compaction: an agent cannot do without",
    compaction,
    `compaction === "off" ? undefined : (compaction ?? {})`,
    `compaction === "off" ? {} : (compaction ?? {})`
  ),
  inCompaction(
    "compaction: what came to nothing is tried again in the next turn",
    compaction,
    `if (recorded?._tag === "CompactionStalled") this.failed = true`,
    ""
  ),
  inCompaction(
    "compaction: what failed is tried again in the next turn",
    compaction,
    "this.failed = true\n        const then",
    "const then"
  ),
  inCompaction(
    "compaction: it may make the conversation larger",
    compaction,
    "if (messagesTokens(after) >= messagesTokens(messages))",
    "if (messagesTokens(after) < 0)"
  ),
  inCompaction(
    "compaction: files that could not be read were read",
    compaction,
    "|| failed.has(part.id)) continue",
    ") continue"
  ),
  inCompaction(
    "compaction: files of the summary before are forgotten",
    compaction,
    "new Set(before?.read)",
    "new Set<string>()"
  ),
  inCompaction(
    "compaction: the model that answers is not fallen back to",
    compaction,
    ": [call.model, ...call.fallbacks]",
    ": call.fallbacks"
  ),
  inCompaction(
    "compaction: a size beyond the window is believed",
    compaction,
    "measured.tokens > window ? undefined",
    "measured.tokens < 0 ? undefined"
  ),
  inCompaction(
    "summary: what is wrong with one is not told",
    summary,
    ": ask(earlier, piece, length, said.flaw)",
    ": ask(earlier, piece, length, undefined)"
  ),
  inCompaction(
    "summary: one that was cut is taken",
    summary,
    `if (finish === "length")`,
    `if (finish === "content-filter")`
  ),
  inCompaction(
    "summary: each piece is summarised by itself",
    summary,
    "go(text, rest, most, length)",
    "go(earlier, rest, most, length)"
  ),
  inCompaction(
    "summary: a piece that was refused is not cut",
    summary,
    "&& piece.length > leastPiece",
    "&& piece.length > 1e9"
  ),
  inCompaction("summary: the one before may end its frame", summary, "${harmless(earlier)}", "${earlier}"),
  inCompaction("summary: a fence stays", summary, "(fenced?.[1] ?? text)", "text"),
  inCompaction(
    "summary: what the user said last is lost",
    conversation,
    "if (isBehind) head.push(",
    "if (isBehind && head.length > 9) head.push("
  ),
  inCompaction(
    "summary: the instructions tell of the workspace as it was first",
    conversation,
    "this.told = { ...this.told, first: this.told.last }",
    "this.told = { ...this.told }"
  ),
  inConversation(
    "conversation: what a skill would ask is asked where the head was moved behind its start",
    conversation,
    "    this.closeTurn()\n    this.isRequest = false",
    "    this.closeTurn()"
  ),
  inConversation(
    "conversation: what was handed out grows with what is said next",
    conversation,
    "    this.tail = undefined\n    return this.folded.slice(from)",
    "    return this.folded.slice(from)"
  ),
  inConversation(
    "conversation: what a preview shows grows with what is said next",
    conversation,
    "    this.tail = undefined\n    return this.compactedBy",
    "    return this.compactedBy"
  ),
  inConversation(
    "conversation: a message that grew stays so when the head moves back",
    conversation,
    'last.role === "user" && last.content.length > parts',
    "false"
  ),
  inConversation(
    "conversation: the size of before stands after a compaction",
    conversation,
    "this.measured_ = undefined\n    this.compacted_ = entry",
    "this.compacted_ = entry"
  ),
  inConversation(
    "conversation: an attempt from before a compaction counts after it",
    conversation,
    "this.compacted_ = entry\n    this.stalled_ = undefined",
    "this.compacted_ = entry"
  ),
  {
    name: "conversation: a turn that the head moved into stays open",
    file: conversation,
    find: "    conversation.leave()\n    return conversation",
    replace: "    return conversation",
    tests: byConversation
  },
  inConversation(
    "conversation: calls of a way that was left are unknown",
    conversation,
    `for (const entry of entries) if (entry._tag === "Assistant") conversation.know(entry.content)`,
    ""
  ),
  inConversation("conversation: the size stays with a move", conversation, "this.measured_ = before.measured\n", ""),
  inConversation("conversation: a summary stays with a move", conversation, "this.compacted_ = before.compacted\n", ""),
  inSequence(
    "places: any entry may go on from anywhere",
    sequence,
    "if (parentId !== (id === 1 ? null : id - 1))",
    "if (id < 0)"
  ),
  inSequence(
    "places: a head may move to what comes later",
    sequence,
    "return isBefore(parentId) ?",
    "return isBefore(0) ?"
  ),
  inSequence(
    "places: what comes later can be replayed",
    sequence,
    "isBefore(entry.request?.replay?.from)",
    "isBefore(0)"
  ),
  inSequence("places: what comes later can be repeated", sequence, "isBefore(entry.replayed)", "isBefore(0)"),
  inSequence("places: what comes later can be kept", sequence, "isBefore(entry.firstKept)", "isBefore(0)"),
  inSequence("places: what comes later can be named", sequence, "isBefore(entry.entry)", "isBefore(0)"),
  {
    name: "history: the head moves while an operation runs",
    file: history,
    find: `entry._tag === "HeadMoved" && isRunning`,
    replace: `entry._tag === "HeadMoved" && isRunning && entry.id < 0`,
    tests: ["test/layers/History.damaged.test.ts"]
  },
  {
    name: "history: what is damaged on another way is a defect",
    file: history,
    find: "return corruptBy(journal.row.id, all, error)",
    replace: "throw error",
    tests: ["test/layers/History.damaged.test.ts"]
  },
  {
    name: "what-if: what is damaged is a defect",
    file: "src/programs/whatIf.ts",
    find: "return corruptBy(session, entries, error)",
    replace: "throw error",
    tests: ["test/layers/History.damaged.test.ts"]
  },
  inArchive(
    "import: two operations may run at once",
    reading,
    `return this.running === undefined ? undefined : "an operation`,
    `return this.running !== 0 ? undefined : "an operation`
  ),
  inArchive("import: a call may come twice", reading, "own.some((id) => calls.has(id)) ||", ""),
  inArchive("import: blank lines may stand between", reading, "if (this.blank !== undefined) return empty", ""),
  inArchive("import: a line may be of any length", reading, "if (line.length > maxLine)", "if (line.length < 0)"),
  inArchive("import: the depth stays", "src/programs/archive/rename.ts", "told.depth - root.told.depth", "told.depth"),
  inArchive(
    "import: a call that was not started is interrupted",
    "src/programs/archive/settle.ts",
    `started ? "interrupted" : "not-run"`,
    `started ? "interrupted" : "interrupted"`
  ),
  inArchive(
    "import: what compactions used is not told",
    "src/programs/archive/settle.ts",
    "compactionsOf(past.entries), tasks",
    "Usage.zero, tasks"
  ),
  inJson(
    "import: text is parsed however deep it is",
    "src/services/Json.ts",
    "if (++depth > maxDepth) return",
    "if (++depth < 0) return"
  ),
  inJson(
    "import: text is parsed however many values it has",
    "src/services/Json.ts",
    "if (values > maxValues || ",
    "if ("
  ),
  inJson(
    "import: a quote in a string ends it",
    "src/services/Json.ts",
    "if (slashes % 2 === 0) return end",
    "return end"
  ),
  inPrune(
    "prune: what is as old as it may be goes",
    prune,
    "now - activeAt > limits.age",
    "now - activeAt >= limits.age"
  ),
  inPrune(
    "prune: nothing goes after what is kept",
    prune,
    "if (limits.keep(root)) continue",
    "if (limits.keep(root)) break"
  ),
  inPrune("prune: the size stays as it was", prune, "bytes -= gone.bytes", ""),
  inPrune("prune: what forks keep is gone", prune, "bytes -= gone.bytes", "bytes -= tree.bytes"),
  inPrune("prune: an input that waits is lost", prune, "|| waiting.has(row.incarnation)", ""),
  inPrune("prune: what was used meanwhile goes", prune, "|| now.nextSeq !== row.nextSeq ", ""),
  inPrune(
    "prune: the age is that of the oldest",
    prune,
    "Math.max(last, activeAt, row.createdAt), -Infinity)",
    "Math.min(last, activeAt, row.createdAt), Infinity)"
  ),
  inPrune(
    "prune: a tree under a way that nobody measured goes",
    prune,
    "children.some(({ incarnation }) => !known.has(incarnation))",
    "children.length < 0"
  ),
  inSearch("search: any number of words", search, "words.length > maxWords", "words.length < 0"),
  inSearch("search: a text of any length", search, "text.length > maxText", "text.length < 0"),
  inSearch("snippet: white space stays", snippet, `|| snippet.endsWith(" ")`, ""),
  inSearch(
    "snippet: a word is told character by character",
    snippet,
    "last?.[1] === snippet.length",
    "last?.[1] === -1"
  ),
  inSql("sql forks: what no fork needs any more stays", sqlForks, "if (base !== undefined) left.add(base)", ""),
  inSql(
    "sql forks: what is not there yet is shared",
    sqlForks,
    "base.seq < integer(row.next_seq)",
    "base.seq <= integer(row.next_seq)"
  ),
  inSql(
    "sql search: what a removed session wrote is nobody's",
    sqlSearch,
    "row.id ?? (yield* heirOf(row.key, seq))",
    "row.id ?? undefined"
  ),
  inSql("sql search: what a session shares is its own", sqlSearch, "|| (session !== undefined && session !== id)", ""),
  inSql("sql measure: what forks keep counts for all of them", sqlMeasure, "from = to + 1\n        }", "}"),
  inSql("sql forks: what went is not told", sqlForks, "went.entries += integer(page.entries)", ""),
  inMemory("memory: what others share has gone", memory, "firsts.has(entries[0])", "false"),
  inMemory(
    "memory: what goes twice counts twice",
    memory,
    "seen.add(entry)\n            count(went, entry)",
    "count(went, entry)"
  ),
  inMemory("memory: what is shared counts twice", memory, "if (i < shared && seen.has(entry)) continue", ""),
  inSql("sql measure: the last entry is the session's own", sqlMeasure, "end > integer(shared) ? key : base!", "key")
]
