/**
 * The command `search`.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import picocolors from "picocolors"
import type { Hit } from "../../services/Search.js"
import { columns, nameWidth } from "../columns.js"
import { cut } from "../cut.js"
import { jsonLine } from "../render.js"
import { search } from "../search.js"
import { ago } from "../sessionTable.js"
import { oneLine } from "../tree.js"
import type { Executable } from "./Executable.js"
import { rowOf } from "./named.js"
import type { Located } from "./options.js"
import { lineWidth, paintsColours, show } from "./screen.js"
import { overStore } from "./stored.js"
import { waiting } from "./waiting.js"

interface SearchGiven extends Located {
  readonly words: string
  readonly session: Option.Option<string>
  readonly limit: Option.Option<number>
  readonly json: boolean
}

export const searchCommand = <E>(executable: Executable<E>, given: SearchGiven) =>
  overStore(
    executable,
    given,
    Effect.gen(function* () {
      const session = Option.getOrUndefined(given.session)
      const found = search(given.words, { session, limit: Option.getOrUndefined(given.limit) })
      const { hits, next } = yield* waiting(executable.errors, "Searching, what is new is read first", found)
      if (session !== undefined) yield* rowOf(session)
      if (given.json) return yield* show(hits.map((hit) => jsonLine(hit)))
      if (hits.length === 0) return yield* show(["Nothing was found."])
      const width = yield* lineWidth
      const paint = picocolors.createColors(yield* paintsColours)
      const now = yield* Clock.currentTimeMillis
      const rows = hits.map((hit) => [
        cut(oneLine(hit.session), nameWidth(width)),
        String(hit.entry),
        ago(now - hit.at),
        marked(hit, (word) => paint.bold(paint.yellow(word)))
      ])
      const more = next === undefined ? [] : ["There are more: --limit shows as many as it says."]
      yield* show([...columns([["SESSION", "ENTRY", "WHEN", "TEXT"], ...rows], width), ...more])
    })
  )

/** What an entry says, with the words that were looked for as they are to be seen. */
const marked = ({ ranges, snippet }: Pick<Hit, "ranges" | "snippet">, mark: (word: string) => string): string => {
  let text = ""
  let at = 0
  for (const [from, to] of ranges) {
    text += snippet.slice(at, from) + mark(snippet.slice(from, to))
    at = to
  }
  return text + snippet.slice(at)
}
