/**
 * What a handler is told of its call. Most handlers ask for little of it, so its parts are made when they are read.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as FiberRefs from "effect/FiberRefs"
import * as Runtime from "effect/Runtime"
import type { ToolCall } from "../services/Tool.js"

export class CallContext implements ToolCall {
  private controller: AbortController | undefined
  private aborted = false
  /** The services of the handler's fiber, its span among them; those of the runtime until it has begun. */
  services: Context.Context<never> | undefined
  /** Ends what `runPromise` runs. */
  private over: AbortController | undefined
  private ended = false

  constructor(
    readonly callId: string,
    readonly session: string,
    private readonly incarnation: string,
    readonly operationId: string,
    readonly cwd: string,
    private readonly runtime: Runtime.Runtime<never>,
    private readonly mark: (refs: FiberRefs.FiberRefs, fiberId: FiberId.Runtime) => FiberRefs.FiberRefs
  ) {}

  get key(): string {
    return JSON.stringify([this.session, this.incarnation, this.operationId, this.callId])
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController()
      if (this.aborted) this.controller.abort()
    }
    return this.controller.signal
  }

  /** Aborts the signal, now or when it is first read, and ends the call. */
  abort(): void {
    this.aborted = true
    this.controller?.abort()
    this.end()
  }

  /** Interrupts what `runPromise` still runs, and lets it run nothing more. */
  end(): void {
    this.ended = true
    this.over?.abort()
  }

  readonly runPromise = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
    const { fiberRefs, runtimeFlags } = this.runtime
    const context = this.services ?? this.runtime.context
    const marked = Runtime.make({ context, runtimeFlags, fiberRefs: this.mark(fiberRefs, FiberId.unsafeMake()) })
    this.over ??= new AbortController()
    return Runtime.runPromise(marked, this.ended ? Effect.interrupt : effect, { signal: this.over.signal })
  }
}
