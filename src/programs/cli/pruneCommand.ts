/**
 * The command `prune`.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidInput } from "../../services/Errors.js"
import type { Pruned, PrunedTree } from "../../services/Retention.js"
import { bytesOf, millisOf, sizeOf } from "../amounts.js"
import { columns, nameWidth } from "../columns.js"
import { cut } from "../cut.js"
import { number, plural } from "../counts.js"
import { jsonLine } from "../render.js"
import { prune } from "../prune.js"
import { ago } from "../sessionTable.js"
import { oneLine } from "../tree.js"
import type { Executable } from "./Executable.js"
import type { Located } from "./options.js"
import { contentOf } from "./removeCommand.js"
import { fit, lineWidth, show } from "./screen.js"
import { overHistories } from "./stored.js"
import { waiting } from "./waiting.js"

interface PruneGiven extends Located {
  readonly olderThan: Option.Option<string>
  readonly maxSessions: Option.Option<number>
  readonly maxBytes: Option.Option<string>
  readonly dryRun: boolean
  readonly json: boolean
}

export const pruneCommand = <E>(executable: Executable<E>, given: PruneGiven) =>
  overHistories(
    executable,
    given,
    Effect.gen(function* () {
      const { dryRun } = given
      const limits = yield* limitsOf(given)
      const pruned = yield* waiting(executable.errors, "Pruning", prune({ ...limits, dryRun }))
      if (given.json) return yield* show(jsonLines(pruned, dryRun))
      const width = yield* lineWidth
      const lines = table(pruned, given, yield* Clock.currentTimeMillis, width)
      yield* show([...lines, ...(yield* fit(sentence(pruned, dryRun)))])
    })
  )

/** What may stay, or what of it is no limit. */
const limitsOf = ({ maxBytes, maxSessions, olderThan }: PruneGiven) =>
  Effect.gen(function* () {
    if (Option.isNone(olderThan) && Option.isNone(maxSessions) && Option.isNone(maxBytes)) {
      const reason = "say what is to go by --older-than, --max-sessions or --max-bytes"
      return yield* new InvalidInput({ path: "the limits", reason })
    }
    const most = Option.getOrUndefined(maxSessions)
    if (most !== undefined && !(Number.isSafeInteger(most) && most >= 0)) {
      return yield* new InvalidInput({ path: "max-sessions", reason: "it is not a whole number from 0 on" })
    }
    return {
      olderThan: yield* read(olderThan, millisOf, "older-than", "it is no time such as 30d, 12h or 90min"),
      maxSessions: most,
      maxBytes: yield* read(maxBytes, bytesOf, "max-bytes", "it is no size such as 500MB, 2GiB or 1000")
    }
  })

const read = (
  text: Option.Option<string>,
  amount: (text: string) => number | undefined,
  path: string,
  reason: string
): Effect.Effect<number | undefined, InvalidInput> => {
  if (Option.isNone(text)) return Effect.succeed(undefined)
  const found = amount(text.value)
  return found === undefined ? new InvalidInput({ path, reason }) : Effect.succeed(found)
}

const jsonLines = ({ left, removed, skipped }: Pruned, dryRun: boolean): ReadonlyArray<string> => [
  ...removed.map(({ id, ...tree }) => jsonLine({ _tag: "Removed", session: id, ...tree, dryRun })),
  ...skipped.map(({ id, reason }) => jsonLine({ _tag: "Skipped", session: id, reason })),
  jsonLine({ _tag: "Left", ...left })
]

/** A line for each session that goes, and for each that was to go and stays. */
const table = ({ removed, skipped }: Pruned, given: PruneGiven, now: number, width: number): ReadonlyArray<string> => {
  if (removed.length === 0 && skipped.length === 0) return []
  const name = (id: string) => cut(oneLine(id), nameWidth(width))
  const goes = (tree: PrunedTree) => [
    name(tree.id),
    ago(now - tree.activeAt),
    number(tree.entries),
    sizeOf(tree.bytes),
    whyOf(tree, given)
  ]
  const stays = ({ id, reason }: Pruned["skipped"][number]) => [name(id), "", "", "", `stays: ${oneLine(reason)}`]
  const titles = ["SESSION", "LAST USED", "ENTRIES", "SIZE", "WHY"]
  return columns([titles, ...removed.map(goes), ...skipped.map(stays)], width)
}

const whyOf = ({ reason, sessions }: PrunedTree, { maxBytes, maxSessions, olderThan }: PruneGiven): string => {
  const why = {
    age: `older than ${oneLine(Option.getOrElse(olderThan, () => ""))}`,
    count: `more than ${plural(
      Option.getOrElse(maxSessions, () => 0),
      "session"
    )}`,
    bytes: `more than ${oneLine(Option.getOrElse(maxBytes, () => ""))}`
  }[reason]
  return sessions.length < 2 ? why : `${why}, with ${plural(sessions.length - 1, "session")} of its tasks`
}

const sentence = ({ left, removed }: Pruned, dryRun: boolean): string => {
  const stays = `${plural(left.sessions, "session")}, ${sizeOf(left.bytes)}, ${dryRun ? "would stay" : "stayed"}.`
  if (removed.length === 0) return `Nothing ${dryRun ? "would be" : "was"} removed; ${stays}`
  const sum = { entries: 0, bytes: 0 }
  for (const { bytes, entries } of removed) {
    sum.bytes += bytes
    sum.entries += entries
  }
  const gone = dryRun ? "would be removed" : removed.length === 1 ? "was removed" : "were removed"
  return `${plural(removed.length, "session")} ${gone} (${contentOf(sum)}); ${stays}`
}
