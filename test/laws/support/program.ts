/**
 * Random programs over a few sessions: what they are, how they are made and how they read.
 */
import { FastCheck as fc } from "effect"
import type { HoldKind, OnBusy } from "../../../src/services/Operation.js"

export type Program = ReadonlyArray<Action>

export type Action =
  | { readonly do: "leaf" | "fail" | "die" }
  | { readonly do: "yield" | "sleep"; readonly n: number }
  | Call
  /** A tool call: a delegation of the operation it stands in. */
  | { readonly do: "tool"; readonly body: Program }
  | { readonly do: "parallel"; readonly bodies: ReadonlyArray<Program> }
  /** A fiber that nobody waits for. */
  | { readonly do: "daemon"; readonly body: Program }
  /** Runs the body in a fiber that is interrupted after `n` yields. */
  | { readonly do: "interrupt"; readonly n: number; readonly body: Program }

export interface Call {
  readonly do: "call"
  /** `undefined`: the session of the operation that it stands in. */
  readonly session: string | undefined
  readonly kind: HoldKind
  readonly onBusy: OnBusy
  readonly how: "hold" | "acquire" | "under"
  readonly body: Program
}

/** A program for each of a few callers, and the seed of the interleaving. */
export class Case {
  constructor(
    readonly seed: number,
    readonly width: number,
    readonly callers: ReadonlyArray<Program>
  ) {}

  [fc.toStringMethod](): string {
    const callers = this.callers.map((program, i) => `caller ${i + 1}: ${print(program)}`)
    return `\n  scheduler seed ${this.seed}, width ${this.width}\n  ${callers.join("\n  ")}\n`
  }
}

const print = (program: Program): string => `{ ${program.map(printAction).join("; ")} }`

const printAction = (action: Action): string => {
  switch (action.do) {
    case "yield":
    case "sleep":
      return `${action.do} ${action.n}`
    case "call": {
      const { onBusy } = action
      const policy =
        typeof onBusy === "string"
          ? onBusy
          : `wait(${onBusy.timeout === undefined ? "" : `timeout ${onBusy.timeout}`}${onBusy.cap === undefined ? "" : ` cap ${onBusy.cap}`})`
      const how = action.how === "hold" ? "" : ` by ${action.how}`
      return `${action.kind} ${action.session ?? "own"} ${policy}${how} ${print(action.body)}`
    }
    case "tool":
    case "daemon":
      return `${action.do} ${print(action.body)}`
    case "interrupt":
      return `interrupt after ${action.n} ${print(action.body)}`
    case "parallel":
      return `parallel [${action.bodies.map(print).join(", ")}]`
    default:
      return action.do
  }
}

const policies: fc.Arbitrary<OnBusy> = fc.oneof(
  { arbitrary: fc.constant<OnBusy>("wait"), weight: 5 },
  { arbitrary: fc.constant<OnBusy>("reject"), weight: 3 },
  { arbitrary: fc.constant<OnBusy>("interrupt"), weight: 2 },
  {
    arbitrary: fc.record({
      _tag: fc.constant("wait" as const),
      timeout: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }),
      cap: fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined })
    }),
    weight: 2
  }
)

const kinds = fc.constantFrom<HoldKind>("prompt", "task", "task", "task", "skill", "shell", "compact", "remove")

const steps = fc.integer({ min: 0, max: 12 })

const small: fc.Arbitrary<Action> = fc.oneof(
  { arbitrary: fc.constant<Action>({ do: "leaf" }), weight: 3 },
  { arbitrary: fc.record({ do: fc.constant("yield" as const), n: steps }), weight: 3 },
  { arbitrary: fc.record({ do: fc.constant("sleep" as const), n: steps }), weight: 2 },
  { arbitrary: fc.constant<Action>({ do: "fail" }), weight: 1 },
  { arbitrary: fc.constant<Action>({ do: "die" }), weight: 1 }
)

/** Programs of at most so many levels. The deeper they may be, the more of them is calls and tools. */
const programs = (sessions: ReadonlyArray<string>, levels: number): fc.Arbitrary<Program> => {
  const session = fc.constantFrom(...sessions)
  const own = fc.option(session, { nil: undefined, freq: 1 })
  const hows = fc.constantFrom<Call["how"]>("hold", "hold", "hold", "acquire", "under")
  const program = fc.memo((left): fc.Arbitrary<Program> => {
    if (left <= 1) return fc.array(small, { maxLength: 2 })
    const body = program(left - 1)
    const bodies = fc.array(body, { minLength: 1, maxLength: 3, size: "max" })
    const call = fc.record({
      do: fc.constant("call" as const),
      session: own,
      kind: kinds,
      onBusy: policies,
      how: hows,
      body
    })
    // A task through a delegation, the commonest thing there is.
    const task = fc
      .record({ session: fc.option(session, { nil: undefined, freq: 2 }), onBusy: policies, body })
      .map((task): Action => ({ do: "tool", body: [{ ...task, do: "call", kind: "task", how: "hold" }] }))
    const action = fc.oneof(
      { arbitrary: small, weight: 4 },
      { arbitrary: call, weight: 8 },
      { arbitrary: task, weight: 9 },
      { arbitrary: fc.record({ do: fc.constant("tool" as const), body }), weight: 5 },
      { arbitrary: fc.record({ do: fc.constant("parallel" as const), bodies }), weight: 4 },
      { arbitrary: fc.record({ do: fc.constant("daemon" as const), body }), weight: 3 },
      { arbitrary: fc.record({ do: fc.constant("interrupt" as const), n: steps, body }), weight: 2 }
    )
    return fc.array(action, { minLength: left > 4 ? 1 : 0, maxLength: 3 })
  })
  return program(levels)
}

/** One to four callers over two to four sessions. */
export const cases: fc.Arbitrary<Case> = fc
  .integer({ min: 2, max: 4 })
  .chain((count) => {
    const sessions = ["A", "B", "C", "D"].slice(0, count)
    return fc.tuple(
      fc.nat(0xffffff),
      fc.integer({ min: 1, max: 3 }),
      fc
        .integer({ min: 3, max: 7 })
        .chain((levels) => fc.array(programs(sessions, levels), { minLength: 1, maxLength: 4 }))
    )
  })
  .map(([seed, width, callers]) => new Case(seed, width, callers))
