/**
 * The named operations of one engine.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Ongoing } from "../services/Ongoing.js"

export const layer: Layer.Layer<Ongoing> = Layer.sync(Ongoing, () => {
  const running = new Map<string, { readonly key: string; readonly waiting: Set<() => void> }>()
  return {
    claim: (incarnation, operationId, key) => {
      const name = JSON.stringify([incarnation, operationId])
      const known = running.get(name)
      if (known === undefined) {
        const waiting = new Set<() => void>()
        running.set(name, { key, waiting })
        const done = () => {
          running.delete(name)
          for (const tell of waiting) tell()
        }
        return { _tag: "First", done }
      }
      const over = Effect.async<void>((resume) => {
        if (running.get(name) !== known) return resume(Effect.void)
        const tell = () => resume(Effect.void)
        known.waiting.add(tell)
        return Effect.sync(() => known.waiting.delete(tell))
      })
      return { _tag: "Running", key: known.key, over }
    }
  }
})
