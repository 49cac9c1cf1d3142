/**
 * How a session is told to people.
 */
export interface TranscriptOptions {
  /**
   * Where the sessions of tasks are told: in the place where each was begun (`nested`), one after the other behind the
   * conversation (`sections`, the default), or nowhere (`off`).
   */
  readonly tasks?: "nested" | "sections" | "off" | undefined
  /** How many characters of a call's arguments, and of its result, are told at most; default 2,000. What is cut is counted. */
  readonly maxResult?: number | undefined
}
