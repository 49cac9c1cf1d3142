/**
 * What a handler is told of its call. Most handlers ask for little of it, so its parts are made when they are read.
 */
import type * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as FiberRefs from "effect/FiberRefs"
import * as Runtime from "effect/Runtime"
import type { ToolCall } from "../services/Tool.js"

export class CallContext implements ToolCall {
  private controller: AbortController | undefined
  private aborted = false

  constructor(
    readonly callId: string,
    readonly session: string,
    readonly operationId: string,
    readonly cwd: string,
    private readonly runtime: Runtime.Runtime<never>,
    private readonly mark: (refs: FiberRefs.FiberRefs, fiberId: FiberId.Runtime) => FiberRefs.FiberRefs
  ) {}

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController()
      if (this.aborted) this.controller.abort()
    }
    return this.controller.signal
  }

  /** Aborts the signal, now or when it is first read. */
  abort(): void {
    this.aborted = true
    this.controller?.abort()
  }

  readonly runPromise = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => {
    const { context, fiberRefs, runtimeFlags } = this.runtime
    const marked = Runtime.make({ context, runtimeFlags, fiberRefs: this.mark(fiberRefs, FiberId.unsafeMake()) })
    return Runtime.runPromise(marked, effect, { signal: this.signal })
  }
}
