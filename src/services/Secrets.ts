/**
 * Texts that must not be told: the keys that were given to Baton.
 *
 * The gate leaves them out of everything that is recorded, and so out of events, errors and logs, also where a model or a
 * tool repeats them. They are known to the whole process: what is secret in one engine is no less so in another.
 */
import * as Effect from "effect/Effect"
import { globalValue } from "effect/GlobalValue"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"

/** Stands in the place of a secret. */
export const mark = "<redacted>"

/** The shortest text that is taken for a secret, in UTF-16 code units: a shorter one is part of too many words. */
export const shortest = 8

/** How often each was given. */
const known: Map<string, number> = globalValue("baton/Secrets", () => new Map<string, number>())

/** Keeps a value from being told until the scope ends. */
export const keep = (secret: Redacted.Redacted): Effect.Effect<void, never, Scope.Scope> => {
  const value = Redacted.value(secret)
  if (value.length < shortest) return Effect.void
  return Effect.acquireRelease(
    Effect.sync(() => {
      known.set(value, (known.get(value) ?? 0) + 1)
    }),
    () =>
      Effect.sync(() => {
        const left = known.get(value)! - 1
        if (left === 0) known.delete(value)
        else known.set(value, left)
      })
  )
}

/** A text with every secret replaced. */
export const redact = (text: string): string => {
  if (known.size === 0) return text
  let clean = text
  for (const secret of known.keys()) {
    if (clean.includes(secret)) clean = clean.replaceAll(secret, mark)
    // In JSON it may look different.
    const printed = JSON.stringify(secret).slice(1, -1)
    if (printed !== secret && clean.includes(printed)) clean = clean.replaceAll(printed, mark)
  }
  return clean
}

/** Whether there is anything to replace. */
export const any = (): boolean => known.size > 0

/** How much of a text's end may be the beginning of a secret, and should wait for what follows. */
export const heldBack = (text: string): number => {
  let most = 0
  for (const secret of known.keys()) {
    for (let length = Math.min(secret.length - 1, text.length); length > most; length--) {
      if (text.endsWith(secret.slice(0, length))) most = length
    }
  }
  return most
}
