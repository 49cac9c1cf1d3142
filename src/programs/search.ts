/**
 * Finding entries by their words.
 */
import * as Effect from "effect/Effect"
import { InvalidInput, type SessionStoreError } from "../services/Errors.js"
import type { Found, Hit, SearchOptions } from "../services/Search.js"
import { type Hit as Stored, SessionStore } from "../services/SessionStore.js"
import * as Words from "../services/Words.js"
import { plainOptions } from "./input.js"
import { pause } from "./pause.js"
import { snippetOf } from "./snippet.js"

/** How many hits a page has where nobody says, and at most. */
const usual = 20
const most = 1_000

/** The most words that are looked for at once, and the longest text that has them, in UTF-16 code units. */
const maxWords = 100
const maxText = 20_000

/**
 * Entries, in whatever session, that have all the words of a text: what users and models said, what tools were given and
 * gave, what tasks are about, summaries, and names of entries. Entries that the head has moved away from are found as
 * well. The newest first. `InvalidInput` where the text has no words, or an option is none.
 */
export const search = (
  text: string,
  given?: SearchOptions
): Effect.Effect<Found, InvalidInput | SessionStoreError, SessionStore> =>
  Effect.suspend((): Effect.Effect<Found, InvalidInput | SessionStoreError, SessionStore> => {
    const options = plainOptions(given)
    if (options instanceof InvalidInput) return options
    const words = wordsOf(text)
    if (words instanceof InvalidInput) return words
    const { after, limit = usual, session } = options ?? {}
    const problem = optionsProblem(options)
    if (problem !== undefined) return problem
    const wanted = new Set(words)
    return Effect.flatMap(SessionStore, (store) =>
      Effect.flatMap(store.search({ words, session, after, limit }), ({ hits, next }) =>
        // A long result may take its time.
        Effect.map(
          Effect.forEach(hits, (hit) => Effect.map(pause, () => hitOf(hit, wanted))),
          (found) => ({
            hits: found,
            next
          })
        )
      )
    )
  })

const wrong = (path: string, reason: string) => new InvalidInput({ path, reason })

const wordsOf = (text: unknown): ReadonlyArray<string> | InvalidInput => {
  if (typeof text !== "string") return wrong("text", "it is not a text")
  if (text.length > maxText) return wrong("text", `it is longer than ${maxText} characters`)
  const words = Words.of(text)
  if (words.length === 0) return wrong("text", "it has no words")
  return words.length > maxWords ? wrong("text", `it has more than ${maxWords} words`) : words
}

const optionsProblem = ({ after, limit, session }: SearchOptions = {}): InvalidInput | undefined => {
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1 && limit <= most)) {
    return wrong("limit", `it is not a whole number from 1 to ${most}`)
  }
  if (session !== undefined && typeof session !== "string") return wrong("session", "it is not a text")
  if (after !== undefined && typeof after !== "string") return wrong("after", "it is not a text")
  return undefined
}

const hitOf = ({ entry, session }: Stored, words: ReadonlySet<string>): Hit => ({
  session,
  entry: entry.id,
  at: entry.at,
  kind: entry._tag,
  operationId: entry.operationId,
  ...snippetOf(Words.textOf(entry), words)
})
