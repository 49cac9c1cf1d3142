/**
 * What the laws are tried on.
 */
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Agent from "../Agent.js"
import type { Script } from "../Script.js"
import type { PromptInput } from "../Session.js"
import type { Outcome } from "./Outcome.js"

/** `false`, or a text that says what is wrong: the invariant does not hold. Anything else: it does. */
export type Verdict = boolean | string | void | undefined

/** An agent whose tools need `R`, what it is prompted with, and an invariant that needs `I`. */
export type Subject<R = never, I = never> = Described<R, I> & Provided<R | I>

interface Described<R, I> {
  readonly agent: Agent.Agent<R>
  /** What the model says. */
  readonly script: Script
  /** Prompted one after another. Default: one prompt, `"go"`. */
  readonly prompts?: ReadonlyArray<PromptInput> | undefined
  /**
   * What has to hold when the prompts have ended, however they did. It sees the very services that the tools worked
   * with. A failure, a defect or an exception says that it does not hold, so that assertions of any test runner work.
   */
  readonly invariant?: ((outcome: Outcome) => Verdict | Effect.Effect<Verdict, unknown, I>) | undefined
}

/** What the tools and the invariant need, built anew for each run. Left out where they need nothing. */
type Provided<R> = [R] extends [never]
  ? { readonly layer?: Layer.Layer<never, unknown> | undefined }
  : { readonly layer: Layer.Layer<R, unknown> }

/** A subject, or what makes one anew for each run: where tools keep what they know outside of layers. */
export type SubjectOf<R, I> = Subject<R, I> | (() => Subject<R, I>)
