/**
 * The thread of a virtual sandbox, seen from outside.
 */
import { Worker } from "node:worker_threads"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as FiberMap from "effect/FiberMap"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { SandboxError } from "../../services/Errors.js"
import type { ExecResult } from "../../services/Sandbox.js"
import { installLine } from "../peers.js"
import type { CallName, Calls, Exec, FromGuest, Setup, ToGuest } from "./messages.js"

export interface Thread {
  /** Interrupted, it is not waited for; what was asked is done all the same. */
  readonly ask: <Name extends Exclude<CallName, "exec">>(
    call: Name,
    path: string,
    args: Calls[Name][0]
  ) => Effect.Effect<Calls[Name][1], SandboxError>
  /** Interrupted or out of time, it ends the command and waits for that. Out of time, the exit code is 124. */
  readonly exec: (exec: Omit<Exec, "stop">, timeout: number | undefined) => Effect.Effect<ExecResult, SandboxError>
}

/**
 * Starts the thread, and ends it with the scope. It has an empty environment, and a heap of at most `heap` MiB. It is
 * ended as well, with all that it has, where a command that was to end has not after `grace` milliseconds.
 */
export const start = (setup: Setup, heap: number, grace: number): Effect.Effect<Thread, SandboxError, Scope.Scope> =>
  Effect.gen(function* () {
    const asked = new Map<number, (answer: Effect.Effect<unknown, string>) => void>()
    const ready = yield* Deferred.make<void, SandboxError>()
    const sleeps = yield* FiberMap.make<number>()
    const fork = yield* FiberMap.runtime(sleeps)()
    const worker = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Worker(new URL("./guest.js", import.meta.url), {
            workerData: setup,
            env: {},
            resourceLimits: { maxOldGenerationSizeMb: heap }
          })
      ),
      (worker) => Effect.promise(() => worker.terminate())
    )
    let ended: string | undefined
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- It goes to a thread, not to a window.
    const post = (message: ToGuest): void => worker.postMessage(message)
    const end = (reason: string): void => {
      ended ??= reason
      Deferred.unsafeDone(ready, Effect.fail(failed(ended)))
      for (const done of asked.values()) done(Effect.fail(ended))
      asked.clear()
    }
    worker.on("message", (message: FromGuest) => {
      if ("ready" in message) Deferred.unsafeDone(ready, Effect.void)
      else if ("failed" in message) {
        const line = `it needs a package that is not installed (${installLine("just-bash")})`
        end(message.missing ? line : message.failed)
      } else if ("sleep" in message) {
        fork(
          message.sleep,
          Effect.zipRight(
            Effect.sleep(message.millis),
            Effect.sync(() => post({ woken: message.sleep }))
          )
        )
      } else if ("rest" in message) {
        for (const id of message.rest) {
          Option.getOrUndefined(FiberMap.unsafeGet(sleeps, id))?.unsafeInterruptAsFork(FiberId.none)
        }
      } else {
        const done = asked.get(message.id)
        asked.delete(message.id)
        done?.(
          "value" in message ? Effect.succeed(message.value) : Effect.fail((message as { refused: string }).refused)
        )
      }
    })
    worker.on("error", (error) => {
      const outOfMemory = (error as NodeJS.ErrnoException).code === "ERR_WORKER_OUT_OF_MEMORY"
      end(outOfMemory ? "the sandbox ran out of memory and has ended" : `the sandbox has ended: ${error.message}`)
    })
    worker.on("exit", () => end("the sandbox has ended"))
    yield* Deferred.await(ready)

    // A step that computes cannot be told to end. The thread is real, and so is the time that it is given.
    const overdue = Effect.sleep(grace).pipe(
      Effect.withClock(Clock.make()),
      Effect.zipRight(
        Effect.promise(() => {
          ended ??= "a command could not be ended, so the sandbox was, and its files are lost"
          return worker.terminate()
        })
      ),
      Effect.interruptible
    )

    let ids = 0
    const send = <Name extends CallName>(call: Name, args: Calls[Name][0]) =>
      Effect.map(Deferred.make<Calls[Name][1], string>(), (answer) => {
        const id = ++ids
        if (ended !== undefined) Deferred.unsafeDone(answer, Effect.fail(ended))
        else {
          asked.set(id, (it) => Deferred.unsafeDone(answer, it as Effect.Effect<Calls[Name][1], string>))
          try {
            post({ id, call, args } as ToGuest)
          } catch {
            asked.delete(id)
            Deferred.unsafeDone(answer, Effect.fail("it holds something that is no data, such as a function"))
          }
        }
        return { id, answer }
      })

    return {
      ask: (call, path, args) =>
        Effect.flatMap(send(call, args), ({ answer }) => Deferred.await(answer)).pipe(
          Effect.mapError((reason) => new SandboxError({ operation: operationOf(call), path, reason }))
        ),
      exec: (exec, timeout) =>
        Effect.suspend(() => {
          const stop = new SharedArrayBuffer(4)
          return Effect.flatMap(
            Effect.acquireUseRelease(
              send("exec", { ...exec, stop }),
              ({ answer }) => {
                const ends = Effect.exit(Deferred.await(answer))
                return timeout === undefined
                  ? Effect.as(ends, { answer, late: false })
                  : Effect.timeoutTo(ends, {
                      duration: timeout,
                      onSuccess: () => ({ answer, late: false }),
                      onTimeout: () => ({ answer, late: true })
                    })
              },
              ({ answer, id }) =>
                Effect.flatMap(Deferred.isDone(answer), (done) => {
                  if (done) return Effect.void
                  Atomics.store(new Int32Array(stop), 0, 1)
                  post({ stop: id })
                  return Effect.raceFirst(Effect.ignore(Deferred.await(answer)), overdue)
                })
            ),
            ({ answer, late }) =>
              Effect.mapBoth(Deferred.await(answer), {
                onFailure: failed,
                onSuccess: (result) => (late ? { ...result, exitCode: 124 } : result)
              })
          )
        })
    }
  })

const failed = (reason: string) => new SandboxError({ operation: "exec", path: "a command", reason })

const operationOf = (call: CallName): SandboxError["operation"] =>
  call === "place" ? "stat" : call === "snapshot" ? "read" : call === "restore" || call === "rewind" ? "write" : call
