import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Agent, Errors, Script, Sessions, SessionStore, Skill, Tool } from "effect-baton"
import { echo, engine, open } from "../support/engine.js"
import { agentProblem } from "../../src/programs/agentProblem.js"

const ok = engine([Script.always("ok")])

/** What an agent is refused with, by a session and by a task. */
const refused = (agent: Agent.Agent) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(open(agent))
    const task = yield* Effect.flip((yield* open(Agent.make("ok"), "t")).task("x", { agent }))
    assert.strictEqual(task.message, error.message)
    assert.deepStrictEqual(
      (yield* (yield* Sessions.Sessions).list()).map(({ id }) => id),
      ["t"]
    )
    assert.lengthOf([...(yield* SessionStore.Memory).values()][0]!.entries, 0)
    return error.message
  }).pipe(Effect.provide(ok))

const cyclic = () => {
  const below: Array<Agent.Agent> = []
  const top = Agent.make("top", { subagents: [Agent.make("mid", { subagents: below })] })
  below.push(top)
  return top
}

const wrongName = "it is not a name: a letter, and then at most 63 letters, digits, hyphens and underscores."
const skill = (name: string, description = "d") => Skill.make(name, { description, instructions: "" })
const untyped = (options: object) => Agent.make("a", options)

describe("an agent is refused by the field that is wrong", () => {
  const rows: ReadonlyArray<readonly [Agent.Agent, string]> = [
    ...["", "1a", "-a", "a b", "a.b", "\u00e9t\u00e9", "a".repeat(65), "a\n"].map(
      (name) => [Agent.make(name), `agent.name: ${wrongName}`] as const
    ),
    [Agent.make("a", { subagents: [Agent.make("b"), Agent.make("c d")] }), `agent.subagents[1].name: ${wrongName}`],
    [
      Agent.make("a", { subagents: [Agent.make("b"), Agent.make("b")] }),
      'agent.subagents[1].name: another subagent is named "b".'
    ],
    [
      Agent.make("a", { subagents: [Agent.make("general")] }),
      'agent.subagents[0].name: "general" is the general delegate, which is not turned off.'
    ],
    [cyclic(), "agent.subagents[0].subagents[0]: it delegates to itself: top -> mid -> top."],
    [untyped({ instuctions: "Be kind." }), "agent.instuctions: there is no such field."],
    [
      untyped({ subagents: [untyped({ permissions: "all" })] }),
      "agent.subagents[0].permissions: there is no such field."
    ],
    [untyped({ instructions: 5 }), "agent.instructions: it is not a text."],
    [untyped({ description: {} }), "agent.description: it is not a text."],
    [untyped({ thinking: "hard" }), 'agent.thinking: it is none of "off", "low", "medium" and "high".'],
    [
      untyped({ model: "" }),
      "agent.model: it is not a name: a text of 1 to 256 characters without control characters."
    ],
    [untyped({ limits: { turn: 5 } }), "agent.limits.turn: there is no such limit."],
    [untyped({ limits: { turns: -1 } }), "agent.limits.turns: it is not a number from 0."],
    [untyped({ delegate: "on" }), 'agent.delegate: it is neither "general" nor "off".'],
    [untyped({ workspace: true }), 'agent.workspace: it is neither "read" nor "off".'],
    [untyped({ subagents: 3 }), "agent.subagents: it is not a list."],
    [untyped({ subagents: ["b"] }), "agent.subagents[0]: it is not an agent."],
    [untyped({ skills: {} }), "agent.skills: it is not a list."],
    [untyped({ skills: ["review"] }), "agent.skills[0]: it is not a skill."],
    [untyped({ skills: [{ name: "a", description: "d", instructions: "" }] }), "agent.skills[0]: it is not a skill."],
    [untyped({ skills: [{ ...skill("b"), files: undefined }] }), "agent.skills[0]: it is not a skill."],
    [untyped({ skills: [{ ...skill("b"), read: undefined }] }), "agent.skills[0]: it is not a skill."],
    [
      Agent.make("a", { skills: [skill("Review")] }),
      "agent.skills[0].name: it has something else than lower-case letters, digits and hyphens."
    ],
    [Agent.make("a", { skills: [skill("a--b")] }), "agent.skills[0].name: it has two hyphens in a row."],
    [Agent.make("a", { skills: [skill("a"), skill("a")] }), 'agent.skills[1].name: another skill is named "a".'],
    [Agent.make("a", { skills: [skill("a", " ")] }), "agent.skills[0].description: it is missing."],
    [
      Agent.make("a", { skills: [skill("a", "x".repeat(1025))] }),
      "agent.skills[0].description: it is longer than 1024 characters."
    ],
    [untyped({ resultSchema: {} }), "agent.resultSchema: it is not a schema."]
  ]

  for (const [agent, message] of rows) {
    it.effect(message, () =>
      Effect.map(refused(agent), (told) => assert.strictEqual(told, `Invalid input at ${message}`))
    )
  }

  it.effect("the tools of a subagent too, whose path is told", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(open(Agent.make("a", { subagents: [Agent.make("b", { tools: [echo, echo] })] })))
      assert.deepStrictEqual(
        error,
        new Errors.ToolNameConflict({ tool: "echo", reason: "duplicate", path: "agent.subagents[0].tools[1]" })
      )
      assert.strictEqual(error.message, 'Two tools are named "echo" (agent.subagents[0].tools[1]).')
    }).pipe(Effect.provide(ok))
  )

  it.effect("one and the same agent may stand in several places", () =>
    Effect.gen(function* () {
      const helper = Agent.make("helper", { subagents: [Agent.make("leaf")] })
      const agent = Agent.make("a", { subagents: [helper, Agent.make("b", { subagents: [helper] })] })
      assert.strictEqual((yield* (yield* open(agent)).prompt("x")).text, "ok")
    }).pipe(Effect.provide(ok))
  )
})

describe("a child", () => {
  const tool = (name: string) => Tool.make(name, { description: name, run: () => name })
  const tools = (names: string) =>
    Script.on("go", Script.calls(...names.split(" ").map((name) => Script.call(name))), "done")

  it.effect("has what its agent value gives it, and nothing of its parent", () => {
    const seen: Array<unknown> = []
    const child = Agent.make("child", { instructions: "Of the child.", tools: [tool("own")], delegate: "off" })
    const parent = Agent.make("parent", {
      instructions: "Of the parent.",
      tools: [tool("parents")],
      skills: [skill("parents")],
      subagents: [child, Agent.make("other")],
      model: "scripted",
      thinking: "high"
    })
    return Effect.gen(function* () {
      const session = yield* open(parent)
      yield* session.prompt("start")
      assert.deepStrictEqual(seen, [
        {
          instructions: "Of the child.",
          tools: ["own"],
          thinking: "high",
          messages: 1
        }
      ])
    }).pipe(
      Effect.provide(
        engine([
          Script.on("start", Script.calls(Script.task("go", { agent: "child" })), "done"),
          Script.always(({ request }) => {
            seen.push({
              instructions: request.instructions,
              tools: request.tools.map(({ name }) => name),
              thinking: request.thinking,
              messages: request.messages.length
            })
            return "ok"
          })
        ])
      )
    )
  })

  it.effect("cannot call what it was not given", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const secret = Tool.make("parents", { description: "", run: () => (ran.push("parents"), "") })
      const child = Agent.make("child", { tools: [tool("own")], delegate: "off" })
      const session = yield* open(
        Agent.make("parent", { tools: [secret], skills: [skill("parents")], subagents: [child] })
      )
      const reply = yield* session.task("go", { agent: "child" })
      const entries = yield* (yield* (yield* Sessions.Sessions).get({ id: reply.session, agent: child })).history
      assert.deepStrictEqual(ran, [])
      assert.deepStrictEqual(
        entries
          .flatMap((entry) => (entry._tag === "ToolSettled" ? [`${entry.name}: ${entry.outcome}`] : []))
          .toSorted(),
        ["activate_skill: failure", "own: success", "parents: failure", "task: failure"]
      )
    }).pipe(Effect.provide(engine([tools("own parents task activate_skill")])))
  )
})

describe("agents that share subagents", () => {
  it("are looked at once each", () => {
    let level = [Agent.make("a"), Agent.make("b")]
    for (let i = 0; i < 40; i++) level = [Agent.make("a", { subagents: level }), Agent.make("b", { subagents: level })]
    assert.isUndefined(agentProblem(level[0]!))
  })
})

describe("the tool task", () => {
  it.effect("lists the declared subagents, and is not offered with neither those nor a delegate", () => {
    const offered: Array<string | undefined> = []
    const see = Script.always(({ request }) => {
      offered.push(request.tools.find(({ name }) => name === "task")?.description)
      return "ok"
    })
    return Effect.gen(function* () {
      const sub = Agent.make("reader", { description: "Reads long texts" })
      const agents = [
        Agent.make("a", { subagents: [sub] }),
        Agent.make("b", { subagents: [sub], delegate: "off" }),
        Agent.make("c"),
        Agent.make("d", { delegate: "off" })
      ]
      for (const agent of agents) yield* (yield* open(agent, agent.name)).prompt("x")
      const has = offered.map((it) => it && [it.includes("- reader: Reads long texts"), it.includes("general agent")])
      assert.deepStrictEqual(has, [[true, true], [true, false], [false, true], undefined])
    }).pipe(Effect.provide(engine([see])))
  })
})
