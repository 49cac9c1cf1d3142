/**
 * What a provider's own stream tells and the parts of `@effect/ai` do not.
 */
import type { ModelEvent, ModelFinish } from "../../services/Model.js"
import type { Usage } from "../../services/Usage.js"
import { type Figures, usageOf } from "./usage.js"

export class Wire {
  private readonly emit: (event: ModelEvent) => void
  /** The last figures. */
  usage: Usage | undefined
  /** Why the reply ended, where that is not what its end says. */
  reason: ModelFinish["reason"] | undefined

  constructor(emit: (event: ModelEvent) => void) {
    this.emit = emit
  }

  /** Keeps the figures of the end. */
  ended(figures: Figures): void {
    this.usage = usageOf(figures) ?? this.usage
  }

  /** Keeps figures that came before the end, and tells them. */
  soFar(figures: Figures): void {
    this.ended(figures)
    if (this.usage !== undefined) this.emit({ _tag: "UsageSoFar", usage: this.usage })
  }
}
