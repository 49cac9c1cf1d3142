/**
 * Inputs that are acknowledged at once and run in their turn, whatever becomes of the process.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { InvalidInput, OperationConflict, SessionStoreError, type StoreError } from "../services/Errors.js"
import type { PromptInput, Receipt, SessionRef, SubmitError, SubmitOptions } from "../services/Session.js"
import type { InboxItem } from "../services/SessionStore.js"
import { type Engine, engineOf, type Needs } from "./engine.js"
import { limitProblem, operationIdProblem, userParts } from "./input.js"
import { named } from "./once.js"
import type { Named } from "./operation.js"
import { Past } from "./Past.js"
import { promptSubmitted } from "./prompt.js"
import { requestOf } from "./request.js"

/** Stores an input, has it run by the engine in its turn, and answers when it is stored. */
export const submit = (
  ref: SessionRef<unknown>,
  input: PromptInput,
  options: SubmitOptions = {}
): Effect.Effect<Receipt, SubmitError, Needs> =>
  Effect.withFiberRuntime<Receipt, SubmitError, Needs>((fiber) => {
    const engine = engineOf(fiber, ref.context)
    const content = userParts(input, options.images)
    if (content instanceof InvalidInput) return content
    const problem =
      whenProblem(options.when) ??
      operationIdProblem(options.operationId) ??
      limitProblem(options.limits ?? {}, "limits")
    if (problem !== undefined) return problem
    const operationId = options.operationId ?? engine.ids.unsafeNext()
    const name = named("prompt", operationId, content)!
    const clock = Context.unsafeGet(fiber.currentDefaultServices, Clock.Clock)
    const item: InboxItem = {
      // The same input under the same id is stored once.
      id: operationId,
      operationId,
      key: name.key,
      when: options.when ?? "wait",
      content,
      request: requestOf(options, undefined),
      at: clock.unsafeCurrentTimeMillis()
    }
    const receipt: Receipt = { _tag: "Receipt", operationId }
    const stored = Effect.map(engine.store.put(ref, item), () => deliver(engine, ref))
    if (options.operationId === undefined) return Effect.as(stored, receipt)
    return Effect.as(
      Effect.flatMap(known(engine, ref, name), (isKnown) => (isKnown ? Effect.void : stored)),
      receipt
    )
  })

/** Takes an input out of the inbox again; `false` where it runs, has run, or was never there. */
export const withdraw = (
  ref: SessionRef<unknown>,
  operationId: string
): Effect.Effect<boolean, SessionStoreError, Needs> =>
  Effect.withFiberRuntime<boolean, SessionStoreError, Needs>((fiber) => {
    return takeOut(engineOf(fiber, ref.context), ref, operationId)
  })

const takeOut = ({ inbox, store }: Engine, ref: SessionRef<unknown>, id: string) =>
  Effect.map(store.withdraw(ref, id), (wasThere) => {
    if (wasThere) inbox.forget(ref.incarnation, id)
    return wasThere
  })

/**
 * Has everything run that lies in the store's inbox for a session and that nobody here is at. What the store does not
 * let begin now is tried again after a while, for as long as the engine lives.
 */
export const deliver = (engine: Engine, ref: SessionRef<unknown>): void => {
  const later = Effect.zipRight(
    Effect.sleep(engine.leases.poll),
    Effect.sync(() => deliver(engine, ref))
  )
  // Where the engine has ended it does not get past the yield.
  const again = Effect.zipRight(
    Effect.yieldNow(),
    Effect.sync(() => deliver(engine, ref))
  )
  const begin = (item: InboxItem): void => {
    const claim = engine.ongoing.claim(ref.incarnation, `inbox ${item.id}`, "")
    if (claim._tag === "Running") return
    const run = promptSubmitted(ref, item, takeOut(engine, ref, item.id))
    const ran = Effect.provide(run, ref.context) as Effect.Effect<unknown, unknown>
    // How it ends is recorded. Where it could not begin, it stays in the inbox.
    const over = Effect.ensuring(Effect.either(ran), Effect.sync(claim.done)).pipe(
      // Another operation may have taken its place before its start was stored: then it is there still, and comes after.
      Effect.onInterrupt(() => Effect.sync(() => engine.recovery.background(again)))
    )
    engine.recovery.background(
      Effect.flatMap(over, (end) => (Either.isLeft(end) && end.left instanceof SessionStoreError ? later : Effect.void))
    )
  }
  engine.recovery.background(
    Effect.matchEffect(engine.store.waiting(ref), {
      onFailure: () => later,
      onSuccess: (items) => Effect.sync(() => items.forEach(begin))
    })
  )
}

/** Whether an input was stored before, under the same id. */
const known = (
  { store }: Engine,
  ref: SessionRef<unknown>,
  { id, key }: Named
): Effect.Effect<boolean, OperationConflict | StoreError> =>
  Effect.flatMap(Effect.zip(store.waiting(ref), store.operation(ref.id, ref.incarnation, id)), ([items, entries]) => {
    const [first] = entries
    const item = items.find((it) => it.id === id)
    const past = first === undefined || first._tag === "User" ? undefined : new Past(entries)
    const before = item?.key ?? (first?._tag === "User" ? first.asked?.key : past?.start.key)
    if (before === undefined) return Effect.succeed(false)
    if (before !== key) return new OperationConflict({ session: ref.id, operationId: id })
    // One that was interrupted runs again.
    return Effect.succeed(item !== undefined || past?.end?.outcome !== "interrupted")
  })

const whenProblem = (when: unknown): InvalidInput | undefined =>
  when === undefined || when === "wait" || when === "steer" || when === "followUp"
    ? undefined
    : new InvalidInput({ path: "when", reason: 'it is none of "wait", "steer" and "followUp"' })
