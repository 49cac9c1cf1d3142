/**
 * Names for entries.
 */
import * as Effect from "effect/Effect"
import * as Draft from "../services/Draft.js"
import { type CorruptRecord, InvalidInput, type SessionNotFound, type SessionStoreError } from "../services/Errors.js"
import { cleanText } from "../services/Json.js"
import type { Labelled, LabelError, LabelOptions, SessionRef } from "../services/Session.js"
import * as SessionId from "../services/SessionId.js"
import { engineOf, type Needs } from "./engine.js"
import { plainOptions, policyProblem } from "./input.js"
import { find, labelsOf, standsAt, wholeOf } from "./log.js"
import { noted } from "./noted.js"
import type { FrameError } from "./operation.js"

/**
 * Names an entry, by default the one that the conversation stands at, or takes a name away (`null`). A name is that of one
 * entry at a time: given anew it is that of the new one. Holds the session for one write; taking a name away that nothing
 * has writes nothing.
 */
export const label = (
  ref: SessionRef<unknown>,
  name: string,
  entry?: number | null,
  given?: LabelOptions
): Effect.Effect<Labelled, LabelError, Needs> =>
  Effect.suspend(() => {
    const text = labelText(name)
    if (text instanceof InvalidInput) return text
    const options = plainOptions(given)
    if (options instanceof InvalidInput) return options
    const problem =
      policyProblem(options?.onBusy, false) ??
      (entry === undefined || entry === null || typeof entry === "number"
        ? undefined
        : new InvalidInput({ path: "entry", reason: "it is not the place of an entry" }))
    if (problem !== undefined) return problem
    const spec = { kind: "label" as const, onBusy: options?.onBusy }
    return noted<Labelled, LabelError>(ref, spec, (engine, journal) =>
      Effect.flatMap(wholeOf(engine, ref, journal), (entries): NoteOf => {
        const at = entry === undefined ? standsAt(entries, journal.head) : find(ref.id, entries, entry)
        if (typeof at === "object" && at !== null) return at
        if (entry === undefined && at === null) {
          return new InvalidInput({ path: "entry", reason: "the conversation is empty: no entry can be named" })
        }
        const after = Effect.succeed<Labelled>({ label: text, entry: at })
        const isGone = at === null && !labelsOf(entries).has(text)
        return Effect.succeed({ drafts: isGone ? [] : [Draft.label(text, at)], after })
      })
    )
  })

type NoteOf = Effect.Effect<
  { readonly drafts: ReadonlyArray<Draft.Draft>; readonly after: Effect.Effect<Labelled> },
  LabelError | FrameError
>

/** The entries that have names, by those, as the whole history has them: the name that was given last stands last. */
export const labels = (
  ref: SessionRef<unknown>
): Effect.Effect<ReadonlyMap<string, number>, SessionNotFound | CorruptRecord | SessionStoreError, Needs> =>
  Effect.withFiberRuntime<ReadonlyMap<string, number>, SessionNotFound | CorruptRecord | SessionStoreError, Needs>(
    (fiber) => Effect.map(engineOf(fiber, ref.context).history.read(ref.id, ref.incarnation), labelsOf)
  )

/** A name as it is recorded, or what is wrong with it. */
const labelText = (label: unknown): string | InvalidInput => {
  if (typeof label !== "string") return new InvalidInput({ path: "label", reason: "it is not a text" })
  const reason =
    SessionId.problemOfName(label) ??
    // On a command line it would be taken for the place of an entry.
    (/^\d+$/.test(label) ? "it is a number, as the places of entries are" : undefined)
  return reason === undefined ? cleanText(label) : new InvalidInput({ path: "label", reason })
}
