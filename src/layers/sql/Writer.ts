/**
 * Commit groups: writes that come while a transaction is being made, or in the same turn of the event loop, share the
 * next one. A write that comes alone goes at once.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { Line, type Place } from "../lock/Line.js"

/**
 * How much goes into one transaction: SQLite makes it synchronously, and the event loop is not to stand still for
 * long. 512 writes take about 10 ms, and so do 4 million characters.
 */
const most = { writes: 512, characters: 4_000_000 } as const

interface Pending<W, A, E> extends Place {
  readonly write: W
  state: "waits" | "runs" | "done"
  exit: Exit.Exit<A, E> | undefined
  resume: ((exit: Exit.Exit<A, E>) => void) | undefined
  /** Whoever was interrupted while it ran, and waits for its end. */
  over: (() => void) | undefined
}

export interface Writer<W, A, E> {
  /**
   * Waits until the write was made or refused. Interruption takes it back where it has not begun, and waits for its end
   * where it has.
   */
  readonly write: (write: W) => Effect.Effect<A, E>
}

export interface Options<W, A, E> {
  /** No two writes of one name are made in one transaction. */
  readonly nameOf: (write: W) => string
  readonly lengthOf: (write: W) => number
  /** Makes writes, and says what came of each, in their order. Interruption waits for it. */
  readonly make: (writes: ReadonlyArray<W>) => Effect.Effect<ReadonlyArray<Exit.Exit<A, E>>>
  /** What a write is told that comes after the end, or was not begun before. */
  readonly closed: () => E
}

/** A writer that ends with the scope: what it has begun it finishes before. */
export const make = <W, A, E>(options: Options<W, A, E>): Effect.Effect<Writer<W, A, E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    type It = Pending<W, A, E>
    const line = new Line<It>()
    let wake: (() => void) | undefined
    let closed = false

    const settle = (it: It, exit: Exit.Exit<A, E>): void => {
      it.state = "done"
      it.exit = exit
      it.resume?.(exit)
      it.over?.()
    }

    /** The first of the line, one of each name; those of a name that is taken keep their order. */
    const next = (): ReadonlyArray<It> => {
      const group: Array<It> = []
      const names = new Set<string>()
      let characters = 0
      for (let it = line.peek(); it !== undefined && group.length < most.writes && characters < most.characters;) {
        const after = it.next as It | undefined
        const name = options.nameOf(it.write)
        if (!names.has(name)) {
          names.add(name)
          line.remove(it)
          it.state = "runs"
          characters += options.lengthOf(it.write)
          group.push(it)
        }
        it = after
      }
      return group
    }

    const parked = Effect.async<void>((resume) => {
      if (line.size > 0) return resume(Effect.void)
      wake = () => {
        wake = undefined
        resume(Effect.void)
      }
    })

    const round = Effect.suspend(() => {
      const group = next()
      return Effect.uninterruptible(
        Effect.map(Effect.exit(options.make(group.map(({ write }) => write))), (made) => {
          for (let i = 0; i < group.length; i++) {
            settle(group[i]!, Exit.isSuccess(made) ? made.value[i]! : Exit.failCause(made.cause))
          }
        })
      )
    })

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closed = true
        for (let it = line.shift(); it !== undefined; it = line.shift()) settle(it, Exit.fail(options.closed()))
      })
    )
    // Interrupted before the finalizer above runs: scopes close backwards.
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(parked, round)))

    return {
      write: (write) =>
        Effect.async<A, E>((resume) => {
          if (closed) return resume(Effect.fail(options.closed()))
          const it: It = {
            write,
            state: "waits",
            exit: undefined,
            resume,
            over: undefined,
            prev: undefined,
            next: undefined
          }
          line.push(it)
          wake?.()
          return Effect.async<void>((over) => {
            if (it.state === "waits") line.remove(it)
            if (it.state === "runs") it.over = () => over(Effect.void)
            else over(Effect.void)
          })
        })
    }
  })
