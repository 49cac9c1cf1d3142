/**
 * A service that is built when it is first asked for.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"

/** Where a service is built, and how long it lives. */
export interface Place<R> {
  readonly runtime: Runtime.Runtime<R>
  readonly scope: Scope.Scope
}

interface Attempt<S, E> {
  readonly fiber: Fiber.RuntimeFiber<S, E>
  /** How many wait for it. */
  askers: number
}

/**
 * The service of a layer. It is built by a fiber of its own in the place that was given, so that it takes nothing from
 * whoever happens to ask first. Those who ask meanwhile wait for the same attempt; it is given up, and what was built
 * in part released, when all of them were interrupted. What failed or was given up is built again for the next. The
 * scope of the place ends the service, and the attempt too.
 */
export class Lazy<I, S, E, R> {
  private readonly tag: Context.Tag<I, S>
  private readonly layer: Layer.Layer<I, E, R>
  private readonly place: Place<R>
  private attempt: Attempt<S, E> | undefined

  /** The service, once it is built. */
  built: S | undefined

  constructor(tag: Context.Tag<I, S>, layer: Layer.Layer<I, E, R>, place: Place<R>) {
    this.tag = tag
    this.layer = layer
    this.place = place
  }

  /** Waits until the service is built. */
  readonly get: Effect.Effect<S, E> = Effect.uninterruptibleMask((restore) => {
    if (this.built !== undefined) return Effect.succeed(this.built)
    const attempt = (this.attempt ??= this.begin())
    attempt.askers++
    return Effect.flatten(Effect.onInterrupt(restore(Fiber.await(attempt.fiber)), () => this.leave(attempt)))
  })

  private leave(attempt: Attempt<S, E>): Effect.Effect<void> {
    return Effect.suspend(() => {
      attempt.askers--
      if (attempt.askers > 0) return Effect.void
      // Whoever asks from now on begins anew, also while this attempt is still ending.
      if (this.attempt === attempt) this.attempt = undefined
      return Fiber.interrupt(attempt.fiber)
    })
  }

  private begin(): Attempt<S, E> {
    const build = Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Scope.fork(this.place.scope, ExecutionStrategy.sequential), (scope) =>
        Effect.flatMap(Effect.exit(restore(Layer.buildWithScope(this.layer, scope))), (exit): Effect.Effect<S, E> => {
          if (this.attempt === attempt) this.attempt = undefined
          if (Exit.isFailure(exit)) return Effect.zipRight(Scope.close(scope, exit), Effect.failCause(exit.cause))
          // An attempt that was given up in the very moment in which it was done, and one after it: the first stays.
          if (this.built !== undefined) return Effect.as(Scope.close(scope, exit), this.built)
          const built = Context.get(exit.value, this.tag)
          this.built = built
          return Effect.succeed(built)
        })
      )
    )
    // Not at once: the fiber must not end before the attempt is known.
    const options = { scope: this.place.scope, immediate: false }
    const attempt: Attempt<S, E> = { fiber: Runtime.runFork(this.place.runtime, build, options), askers: 0 }
    return attempt
  }
}
