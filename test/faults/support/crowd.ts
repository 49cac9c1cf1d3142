/**
 * Work without end on several sessions, for processes that are killed, frozen, or many.
 */
import { Effect, Layer } from "effect"
import { Agent, Limits, Model, Sandbox, Script, type Sessions, Tool } from "effect-baton"
import { doubled, type Effected, problems } from "../../support/recoveries.js"
import { snapshot } from "./checks.js"
import { atRest, type Life, startWith } from "./engine.js"
import { linesOf, type Note } from "./ledger.js"
import type { Stage } from "./scenario.js"
import { emptySandbox } from "../../support/emptySandbox.js"

/** One line of the ledger of effects. */
export interface Deed extends Effected {
  readonly pid: number
}

/** One line of the ledger of acknowledgements. */
export interface Done {
  readonly session: string
  readonly text: string
  readonly from: number
  readonly to: number
}

/** An agent with tools of every kind, a subagent and a shell, none of which takes any time. */
export const crowd = ({ ledgers }: Stage) =>
  Effect.sync(() => {
    const tool = (name: string, effects?: Tool.Effects) =>
      Tool.make(name, {
        description: name,
        effects,
        run: (_, { key }) =>
          Effect.zipRight(
            Effect.yieldNow(),
            Effect.sync(() => ledgers.effects({ tool: name, key, pid: process.pid }))
          )
      })
    const digger = Agent.make("digger", { tools: [tool("dig")], delegate: "off" })
    const agent = Agent.make("lead", {
      tools: [tool("plain"), tool("look", "pure"), tool("pay", "idempotent")],
      subagents: [digger],
      delegate: "off"
    })
    const script = [
      Script.on("dig", Script.calls(Script.call("dig")), "dug"),
      Script.on("simple", ({ prompt }) => `did ${prompt}`),
      Script.on(
        "tools",
        Script.calls(Script.call("plain"), Script.call("look"), Script.call("pay")),
        ({ prompt }) => `did ${prompt}`
      ),
      Script.on(
        "tasks",
        Script.calls(Script.task("dig one", { agent: "digger" }), Script.task("dig two", { agent: "digger" })),
        ({ prompt }) => `did ${prompt}`
      ),
      Script.always("ok")
    ]
    const sandbox = emptySandbox(({ command }) =>
      Effect.sync(() => {
        ledgers.effects({ tool: "shell", key: command, pid: process.pid })
      })
    )
    return {
      agent,
      layer: Layer.mergeAll(
        Model.layerScripted(script),
        Layer.succeed(Sandbox.Sandbox, sandbox),
        Layer.succeed(Limits.Limits, { ...Limits.defaults, retryDelay: 1 })
      )
    }
  })

export const kinds = ["simple", "tools", "tasks", "dig", "shell"] as const

/** Does one thing in a session, and notes that it was acknowledged. */
export const doOne = (
  session: Sessions.Session,
  kind: (typeof kinds)[number],
  name: string,
  ack: Note
): Effect.Effect<void, Sessions.TaskError | Sessions.ShellError> => {
  const text = `${kind} ${name}`
  const onBusy = "wait" as const
  if (kind === "shell") return Effect.asVoid(session.shell(text, { onBusy }))
  if (kind === "dig") return Effect.asVoid(session.task(text, { agent: "digger", onBusy }))
  return Effect.map(session.prompt(text, { onBusy }), ({ entries: { from, to } }) =>
    ack({ session: session.id, text, from, to } satisfies Done)
  )
}

export interface Verdict {
  readonly acknowledged: number
  readonly lost: ReadonlyArray<string>
  readonly doubled: ReadonlyArray<string>
  readonly stuck: ReadonlyArray<string>
}

/** Opens every session once more when nobody is left, and counts what must not be. */
export const judge = (life: Omit<Life, "isFirst">, ids: ReadonlyArray<string>): Effect.Effect<Verdict, unknown> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { folder } = life
      const started = yield* startWith({ ...life, isFirst: false }, crowd)
      const { actors, sessions, store } = started
      const stuck: Array<string> = []
      for (const id of ids) {
        const canary = Effect.flatMap(atRest({ agent: actors.agent, sessions, store }, id), (session) =>
          session.prompt("canary")
        )
        const exit = yield* Effect.exit(Effect.timeout(canary, "20 seconds"))
        if (exit._tag === "Failure") stuck.push(`${id}: ${exit.cause}`)
      }
      const kept = yield* snapshot(store)
      stuck.push(...problems(kept))
      const acks = linesOf<Done>(folder, "acks")
      const lost = acks.flatMap(({ from, session, text, to }) => {
        const entries = kept.get(session)?.entries ?? []
        const asked = entries.slice(from - 1, to).some((it) => it._tag === "User" && JSON.stringify(it).includes(text))
        const end = entries[to - 1]
        const isThere = asked && end?._tag === "OperationSettled" && end.outcome === "completed"
        return isThere ? [] : [`${session}: ${text}`]
      })
      const deeds = linesOf<Deed>(folder, "effects")
      const shells = new Set<string>()
      const twice = deeds.flatMap(({ key, tool }) => {
        if (tool !== "shell") return []
        if (shells.has(key)) return [`shell ${key}`]
        shells.add(key)
        return []
      })
      return { acknowledged: acks.length, lost, doubled: [...doubled(deeds), ...twice], stuck }
    })
  )
