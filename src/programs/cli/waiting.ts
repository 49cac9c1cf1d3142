/**
 * A word to whoever waits at a terminal.
 */
import * as Effect from "effect/Effect"
import type { Executable } from "./Executable.js"

/** After how many milliseconds somebody wonders, and how often the line is written anew. */
const every = 1_000

/**
 * Runs an effect that shows nothing before its end. Where it takes longer than a second, a terminal shows what is being
 * done, and for how long; the line is gone when the effect ends, also by an interruption.
 */
export const waiting = <A, E, R>(
  { display, isTTY }: Executable<unknown>["errors"],
  what: string,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(isTTY, (isTerminal) => {
    if (!isTerminal) return effect
    let seconds = 0
    const line = () => `${what}: ${seconds} s`
    // A terminal that is gone has nobody who waits.
    const write = (text: string) => Effect.ignore(display(text))
    const tell = Effect.delay(
      Effect.suspend(() => {
        seconds++
        return write(`\r${line()}`)
      }),
      every
    )
    const clear = Effect.suspend(() => (seconds === 0 ? Effect.void : write(`\r${" ".repeat(line().length)}\r`)))
    return Effect.scoped(
      Effect.zipRight(
        Effect.addFinalizer(() => clear),
        Effect.zipRight(Effect.forkScoped(Effect.forever(tell)), effect)
      )
    )
  })
