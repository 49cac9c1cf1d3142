/**
 * The command `import`.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as SessionId from "../../services/SessionId.js"
import { type ImportedSession, importSessions } from "../archive/import.js"
import { plural } from "../counts.js"
import { jsonLine } from "../render.js"
import { stoppable } from "../stoppable.js"
import { oneLine } from "../tree.js"
import { tell } from "./ending.js"
import type { Executable } from "./Executable.js"
import { inLines, linesOf } from "./files.js"
import type { Located } from "./options.js"
import { fit, show } from "./screen.js"
import { waiting } from "./waiting.js"
import { placeOf } from "./withEngine.js"

interface ImportGiven extends Located {
  /** A file, or `-` for what the process is given to read. */
  readonly file: string
  readonly as: Option.Option<string>
  readonly json: boolean
}

/** Creates the sessions of an export, all or none. */
export const importCommand = <E>(executable: Executable<E>, given: ImportGiven) =>
  Effect.gen(function* () {
    const place = placeOf(given)
    const input = given.file === "-" ? inLines(executable.input) : linesOf(given.file)
    const reading = Stream.runCollect(input)
    const lines = yield* stoppable(Layer.empty, executable.stop, false, reading)
    const into = (where: typeof place) =>
      stoppable(
        executable.store(where),
        executable.stop,
        false,
        importSessions(lines, { as: Option.getOrUndefined(given.as) })
      )
    // Nothing is made for what cannot be taken.
    if (!(yield* executable.exists(place))) yield* into({ ...place, store: "memory" })
    const { sessions } = yield* waiting(executable.errors, "Importing", into(place))
    if (given.json) {
      return yield* show(
        sessions.map(({ entries, id, interrupted }) =>
          jsonLine({ session: id, entries, interrupted: interrupted ?? null })
        )
      )
    }
    for (const tree of treesOf(sessions)) yield* show(yield* fit(told(tree)))
  }).pipe(Effect.onError(tell))

type Tree = readonly [ImportedSession, ...ReadonlyArray<ImportedSession>]

/** Each session that is no task's, with those below it. */
const treesOf = (sessions: ReadonlyArray<ImportedSession>): ReadonlyArray<Tree> => {
  const trees: Array<[ImportedSession, ...Array<ImportedSession>]> = []
  for (const it of sessions) {
    const last = trees.at(-1)
    if (last === undefined || !it.id.startsWith(SessionId.childPrefix)) trees.push([it])
    else last.push(it)
  }
  return trees
}

const told = (tree: Tree): string => {
  const [{ id }, ...below] = tree
  const entries = tree.reduce((sum, it) => sum + it.entries, 0)
  const tasks = below.length === 0 ? "" : ` and ${plural(below.length, "session")} of its tasks`
  const cut = tree.some(({ interrupted }) => interrupted !== undefined)
    ? " What ran when it was exported is recorded as interrupted."
    : ""
  return `Session "${oneLine(id)}"${tasks} came in: ${entries === 1 ? "1 entry" : `${entries} entries`}.${cut}`
}
