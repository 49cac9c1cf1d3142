/**
 * What a case of the contract says, and what it says when a store does otherwise.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { SessionStore } from "../../../services/SessionStore.js"

/** A store does not hold to a sentence of its contract. */
export class Broken extends Data.TaggedError("Broken")<{ readonly reason: string }> {
  override get message() {
    return this.reason
  }
}

/** Lets time pass on the store's clock, at least so many milliseconds. */
export type Pass = (millis: number) => Effect.Effect<void>

/**
 * How a case lets time pass. Real time, where nothing else is said; a store whose clock is Effect's is given
 * `TestClock.adjust`. No case asks for more than 20 ms.
 */
export class Time extends Context.Reference<Time>()("baton/testing/StoreContract/Time", {
  defaultValue: () => (millis: number) => Clock.make().sleep(Duration.millis(millis))
}) {}

export interface Case {
  /** The sentence that it tries, to be used as a test's name. */
  readonly name: string
  /** To be run with a store of its own that holds nothing. */
  readonly run: Effect.Effect<void, Broken, SessionStore>
}

/** A case; an error of the store that the case does not expect breaks it. */
export const trial = <E extends Error>(
  name: string,
  body: (store: Context.Tag.Service<SessionStore>) => Effect.Effect<void, E>
): Case => ({
  name,
  run: Effect.flatMap(SessionStore, body).pipe(
    Effect.mapError((error) =>
      error instanceof Broken ? error : new Broken({ reason: `what the contract allows failed: ${error.message}` })
    )
  )
})

export const pass = (millis: number): Effect.Effect<void> => Effect.flatMap(Time, (wait) => wait(millis))

/** `what` is the beginning of a sentence that goes on with "is ..., not ...". */
export const same = (what: string, actual: unknown, expected: unknown): Effect.Effect<void, Broken> =>
  Effect.suspend(() =>
    alike(actual, expected)
      ? Effect.void
      : new Broken({ reason: `${what} is ${shown(actual)}, not ${shown(expected)}` })
  )

/** That something fails with an error that has this tag and these fields. */
export const refused = <A, E>(
  what: string,
  self: Effect.Effect<A, E>,
  expected: { readonly _tag: string; readonly [field: string]: unknown }
): Effect.Effect<void, Broken> =>
  Effect.matchEffect(self, {
    onSuccess: (value) =>
      new Broken({ reason: `${what} gives ${shown(value)} in place of failing with ${shown(expected)}` }),
    onFailure: (error) => {
      const told: Record<string, unknown> = {}
      for (const field in expected) told[field] = (error as Record<string, unknown>)[field]
      return same(`how ${what} fails`, told, expected)
    }
  })

/** Equal as data; a field that is `undefined` is one that is not there. */
const alike = (a: unknown, b: unknown): boolean => {
  if (Object.is(a, b)) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => alike(item, b[i]))
  const left = Object.entries(a).filter(([, value]) => value !== undefined)
  const right = Object.entries(b).filter(([, value]) => value !== undefined)
  const other = new Map(right)
  return left.length === right.length && left.every(([key, value]) => other.has(key) && alike(value, other.get(key)))
}

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value)
  return text.length <= 300 ? text : `${text.slice(0, 300)}…`
}
