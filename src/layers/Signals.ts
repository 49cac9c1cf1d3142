/**
 * The signals that end the executable.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

/**
 * Runs a program as the main one of the process. SIGINT interrupts it, as its user. SIGTERM, and SIGHUP as it does, do
 * not: they complete `stop`, by which the program is to end, and it is waited for. Whatever signal comes after the first
 * changes nothing: both ends take no more than seconds, and a process that is cut short would leave behind what its
 * tools have started.
 */
export const run = <A, E, R>(program: (stop: Effect.Effect<void>) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  // Nothing around it may be interruptible: what an interrupted fiber fails with is lost there.
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const stop = yield* Deferred.make<void>()
      let first: "SIGINT" | "SIGTERM" | undefined
      // The runtime has its own, which interrupt this fiber: that is seen after all have been called.
      const listeners: ReadonlyArray<readonly [NodeJS.Signals, () => void]> = [
        ["SIGINT", () => (first ??= "SIGINT")],
        [
          "SIGTERM",
          () => {
            first ??= "SIGTERM"
            if (first === "SIGTERM") Deferred.unsafeDone(stop, Effect.void)
          }
        ],
        ["SIGHUP", () => process.kill(process.pid, "SIGTERM")]
      ]
      // They stay: the process ends with this, and is not to be cut short by a late one.
      for (const [signal, listener] of listeners) process.on(signal, listener)
      // An interruption of this fiber would be one of its children.
      const running = yield* Effect.forkDaemon(restore(program(Deferred.await(stop))))
      const waited = yield* Effect.exit(restore(Fiber.await(running)))
      const cut = Effect.suspend(() => (first === "SIGTERM" ? Fiber.await(running) : Fiber.interrupt(running)))
      const exit = Exit.isSuccess(waited) ? waited.value : yield* cut
      return yield* exit
    })
  )
