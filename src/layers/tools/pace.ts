/**
 * Long work in short pieces, so that other fibers and the event loop get their turn.
 */
export { pause } from "../../programs/pause.js"

/** Counts the steps of a piece of work. */
export class Pace {
  readonly #piece: number
  #steps = 0

  constructor(piece: number) {
    this.#piece = piece
  }

  /** `true` when a piece is done and it is time to `pause`. */
  spend(steps: number): boolean {
    this.#steps += steps
    if (this.#steps < this.#piece) return false
    this.#steps = 0
    return true
  }
}
