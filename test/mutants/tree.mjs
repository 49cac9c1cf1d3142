/**
 * Faults in a history as a tree: forks, moves, edits, names, and what-ifs.
 */
const fork = "src/programs/fork.ts"
const move = "src/programs/move.ts"
const noted = "src/programs/noted.ts"
const log = "src/programs/log.ts"
const edit = "src/programs/edit.ts"
const labels = "src/programs/labels.ts"
const replay = "src/programs/Replay.ts"
const whatIf = "src/programs/whatIf.ts"
const operation = "src/programs/operation.ts"
const toolCalls = "src/programs/toolCalls.ts"
const byFork = ["test/programs/fork.test.ts"]
const byMove = ["test/programs/move.test.ts"]
const byWhatIf = ["test/programs/whatIf.test.ts"]

export const tree = [
  {
    name: "fork: what was open stays open",
    file: fork,
    find: 'if (start?._tag !== "OperationStarted") return []',
    replace: "if (start?._tag !== undefined) return []",
    tests: byFork
  },
  {
    name: "fork: tasks stay open",
    file: fork,
    find: "past.openLinks.map(",
    replace: "past.openLinks.slice(1).map(",
    tests: byFork
  },
  {
    name: "fork: a call that was not started is interrupted",
    file: fork,
    find: 'past.wasStarted(callId) ? "interrupted" : "not-run"',
    replace: 'past.wasStarted(callId) ? "interrupted" : "interrupted"',
    tests: byFork
  },
  {
    name: "fork: what was used is not told",
    file: fork,
    find: "Usage.report(past.turns,",
    replace: "Usage.report(Usage.zero,",
    tests: byFork
  },
  {
    name: "fork: it begins one entry too early",
    file: fork,
    find: "seq: at }",
    replace: "seq: Math.max(1, at - 1) }",
    tests: byFork
  },
  {
    name: "fork: the whole history is read",
    file: fork,
    find: "piece.some(wanted) ? Effect.succeed(all)",
    replace: "piece.some(wanted) && from === 1 ? Effect.succeed(all)",
    tests: byFork
  },
  {
    name: "fork: a child's is a child",
    file: fork,
    find: "parent: null,",
    replace: "parent: row.parent,",
    tests: byFork
  },
  {
    name: "fork: of a session that was removed the new one of the name is forked",
    file: fork,
    find: "row?.incarnation === incarnation ?",
    replace: "row?.incarnation !== undefined ?",
    tests: byFork
  },
  {
    name: "fork: the end has no key",
    file: fork,
    find: "Draft.operationSettled(start.kind, start.key,",
    replace: "Draft.operationSettled(start.kind, undefined,",
    tests: byFork
  },
  {
    name: "move: what others wrote is not looked for",
    file: log,
    find: "if (entries.length === journal.nextSeq - 1) return Effect.succeed(entries)",
    replace: "if (entries.length >= journal.nextSeq - 1) return Effect.succeed(entries)",
    tests: byMove
  },
  {
    name: "move: a move counts as something said",
    file: log,
    find: 'entry._tag !== "HeadMoved" && entry._tag',
    replace: "entry._tag",
    tests: byMove
  },
  {
    name: "move: what was left unfinished is not resumed",
    file: noted,
    find: "if (journal.running !== null) return Effect.succeed(unfinished)",
    replace: "if (journal.running === undefined) return Effect.succeed(unfinished)",
    tests: byMove
  },
  {
    name: "move: the conversation stays where it was",
    file: noted,
    find: "drafts, { moved })",
    replace: "drafts, moved === undefined ? {} : { moved: journal.conversation })",
    tests: byMove
  },
  {
    name: "rewind: compactions are steps",
    file: move,
    find: 'entry._tag === "OperationStarted" && entry.kind !== "compact"',
    replace: 'entry._tag === "OperationStarted" && entry.kind !== "shell"',
    tests: byMove
  },
  {
    name: "rewind: an input is given with the engine's words",
    file: move,
    find: "content.filter(isOwn)",
    replace: "content.filter(() => true)",
    tests: byMove
  },
  {
    name: "files: they go back after the session was given back",
    file: move,
    find: "const way = new Set(wayTo(entries, to)",
    replace: "const way = new Set(wayTo(entries, from)",
    tests: byMove
  },
  {
    name: "edit: the operation's start stays",
    file: edit,
    find: "first === entry ? start.parentId : entry.parentId",
    replace: "first === entry ? entry.parentId : entry.parentId",
    tests: byMove
  },
  {
    name: "edit: the entry is no part of the key",
    file: edit,
    find: "[entry, content]",
    replace: "[content]",
    tests: byMove
  },
  {
    name: "edit: a command is an input of the user's",
    file: edit,
    find: 'start.kind !== "prompt" && start.kind !== "skill"',
    replace: 'start.kind === "task"',
    tests: byMove
  },
  {
    name: "edit: the conversation stays where it was",
    file: operation,
    find: "const moved = move?.moved\n",
    replace: "const moved = move?.moved === undefined ? undefined : journal.conversation\n",
    tests: byMove
  },
  {
    name: "labels: a name that was taken away is kept",
    file: log,
    find: "labels.delete(entry.label)",
    replace: "if (entry.entry !== null) labels.delete(entry.label)",
    tests: byMove
  },
  {
    name: "labels: taking away what is not there is written",
    file: labels,
    find: "isGone ? []",
    replace: "isGone && at !== null ? []",
    tests: byMove
  },
  {
    name: "what-if: each equal call gets the first record",
    file: replay,
    find: "?.shift()",
    replace: "?.at(0)",
    tests: byWhatIf
  },
  {
    name: "what-if: the order of keys counts",
    file: replay,
    find: "JSON.stringify(args, sorted)",
    replace: "JSON.stringify([args, sorted.length][0])",
    tests: byWhatIf
  },
  {
    name: "what-if: records from before the entry count",
    file: replay,
    find: "!after.has(entry.parentId))) return []",
    replace: "!after.has(entry.parentId)) && from < 0) return []",
    tests: byWhatIf
  },
  {
    name: "what-if: records that were given are given again after a crash",
    file: replay,
    find: "if (taken.has(entry.id)) continue",
    replace: "if (taken.has(-entry.id)) continue",
    tests: byWhatIf
  },
  {
    name: "what-if: a record is there twice that was replayed",
    file: replay,
    find: "if (sources.has(source)) return []",
    replace: "if (sources.has(-source)) return []",
    tests: byWhatIf
  },
  {
    name: "what-if: a call that is run does not end the replay",
    file: replay,
    find: "this.endedIn ??= turn",
    replace: "this.endedIn ??= turn + 1_000",
    tests: byWhatIf
  },
  {
    name: "what-if: the replay ends within the turn",
    file: replay,
    find: "turn > this.endedIn",
    replace: "turn >= this.endedIn",
    tests: byWhatIf
  },
  {
    name: "what-if: after a crash it is forgotten that the replay had ended",
    file: replay,
    find: "past === undefined ? undefined : firstRun(past)",
    replace: "past === undefined ? undefined : [firstRun(past), undefined][1]",
    tests: byWhatIf
  },
  {
    name: "what-if: what would be asked for is run after a crash",
    file: replay,
    find: 'replay.unrecorded === "run" ? "run" : "refuse"',
    replace: 'replay.unrecorded === "refuse" ? "refuse" : "run"',
    tests: byWhatIf
  },
  {
    name: "what-if: any answer is a yes",
    file: replay,
    find: "yes === true ? own : refused",
    replace: "yes !== undefined ? own : refused",
    tests: byWhatIf
  },
  {
    name: "what-if: a tool that is not there is asked for",
    file: replay,
    find: "if (!isRun(call)) return",
    replace: "if (!isRun(call) && call.name === '') return",
    tests: byWhatIf
  },
  {
    name: "what-if: a result does not say what it repeats",
    file: toolCalls,
    find: "cutFrom, content, place)",
    replace: "cutFrom, content, place - place || undefined)",
    tests: byWhatIf
  },
  {
    name: "what-if: within a turn it goes on from within it",
    file: whatIf,
    find: "at === null ? null : endOfTurn(all, at)",
    replace: "at === null ? null : Math.min(at, endOfTurn(all, at))",
    tests: byWhatIf
  },
  {
    name: "what-if: it begins where the conversation has been answered",
    file: whatIf,
    find: 'last === undefined || last.role === "assistant"',
    replace: "last === undefined",
    tests: byWhatIf
  }
]
