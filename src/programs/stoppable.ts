/**
 * An engine that can be ended from outside, while its caller waits for what comes of it.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

/** The process was told to end. What ran is left as it is where the store keeps it. */
export class Stopped extends Data.TaggedError("Stopped")<{ readonly isKept: boolean }> {
  override get message() {
    return this.isKept ? "Stopped. What was unfinished goes on with the next command on its session." : "Stopped."
  }
}

/**
 * Runs an effect over a layer. When `stop` completes the layer ends first, and with it what runs in its engine, as its
 * shutdown and not as an interruption by the caller; then the effect is interrupted, and this fails with `Stopped`.
 */
export const stoppable = <A, E, R, Out, E2, R2>(
  layer: Layer.Layer<Out, E2, R2>,
  stop: Effect.Effect<void>,
  isKept: boolean,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | E2 | Stopped, R2 | Exclude<R, Out>> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      let stopping = false
      const built = Effect.flatMap(Layer.buildWithScope(layer, scope), (context) => Effect.provide(effect, context))
      const running = yield* Effect.fork(restore(built))
      const end = Effect.gen(function* () {
        stopping = true
        yield* Scope.close(scope, Exit.void)
        yield* Fiber.interrupt(running)
      })
      const stopper = yield* Effect.fork(Effect.zipRight(Effect.interruptible(stop), end))
      const waited = yield* Effect.exit(restore(Fiber.await(running)))
      const exit = Exit.isSuccess(waited) ? waited.value : yield* Fiber.interrupt(running)
      yield* Fiber.interrupt(stopper)
      yield* Scope.close(scope, exit)
      if (stopping && Exit.isFailure(exit)) return yield* new Stopped({ isKept })
      return yield* exit
    })
  )
