import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { Sessions } from "effect-baton"
import { Transcript } from "effect-baton/history"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { block, code, quote } from "../../src/programs/transcript/markdown.js"
import * as Draft from "../../src/services/Draft.js"
import * as Usage from "../../src/services/Usage.js"
import { engine, open } from "../support/engine.js"
import { acts, agent, hanging, live, script, texts } from "../support/histories.js"

const session: Transcript.Told["session"] = {
  id: "s",
  agent: "a",
  cwd: ".",
  createdAt: 1_700_000_000_000,
  origin: null
}

const usage = (input: number, cost?: number) => ({
  ...Usage.zero,
  input,
  output: 5,
  ...(cost === undefined ? {} : { cost })
})

const none = Usage.report(Usage.zero, Usage.zero, Usage.zero, Usage.zero)

/** A history of drafts, each behind the one before but for moves. */
const history = (drafts: ReadonlyArray<Draft.Draft>) =>
  drafts.map((draft, i) =>
    Draft.place(
      draft,
      i + 1,
      draft._tag === "HeadMoved" ? draft.parentId : i === 0 ? null : i,
      1_700_000_000_000 + i * 1_000,
      "o"
    )
  )

const text = (words: string) => ({ type: "text", text: words }) as const
const said = (words: string) => Draft.assistant([text(words)], "m", "stop", usage(10), true)
const call = (id: string, args: unknown, raw?: string) =>
  ({ type: "tool-call", id, name: "bash", args, ...(raw === undefined ? {} : { raw }) }) as const

/** Everything that a page can have. */
const everything = (): Transcript.Told => ({
  session: { ...session, origin: { session: "before `x`", entry: 7 } },
  entries: history([
    Draft.operationStarted("prompt", undefined, undefined),
    Draft.workspaceRead({
      files: [{ path: "AGENTS.md", text: "" }],
      skills: [],
      skipped: [{ path: "x", reason: "y" }]
    }),
    Draft.user([text("# Look\n\nat `this`"), { type: "image", mediaType: "image/png", data: "iVBORw0KGgo=" }]),
    Draft.note("Go on."),
    Draft.assistant(
      [
        { type: "reasoning", text: "hm" },
        text("I **call**."),
        call("c1", { command: "ls" }),
        call("c2", {}, "{not json"),
        call("c3", {}),
        call("c4", {})
      ],
      "m",
      "tool-calls",
      usage(10, 0.5),
      true
    ),
    Draft.toolStarted("c1", "bash"),
    Draft.toolSettled("c1", "bash", "success", "```\na.txt\n```", undefined),
    Draft.toolStarted("c2", "bash"),
    Draft.toolSettled("c2", "bash", "failure", "x".repeat(3_000), 9_000),
    Draft.toolStarted("c3", "bash"),
    Draft.taskLink("t", "task:s:1", "worker", "some work", "c3"),
    Draft.taskSettled("t", "task:s:1", "failed", { tag: "LimitReached", message: "too *much*" }, Usage.zero),
    Draft.taskLink("t2", "task:s:2", "worker", "", undefined),
    Draft.operationSettled("prompt", undefined, Usage.report(usage(10, 0.5), Usage.zero, Usage.zero, Usage.zero), {
      outcome: "failed",
      error: { tag: "LimitReached", message: "no `more`" }
    }),
    Draft.operationStarted("skill", undefined, { skill: "review" }),
    Draft.operationSettled("skill", undefined, none, { outcome: "interrupted", by: "caller" }),
    Draft.operationStarted("compact", undefined, undefined),
    Draft.compactionStalled({
      reason: "it was longer",
      trigger: "manual",
      tokensBefore: 9,
      model: "m",
      usage: usage(1)
    }),
    Draft.compaction({
      summary: "All was *said*.",
      firstKept: null,
      trigger: "overflow",
      tokensBefore: 9_000,
      tokensAfter: 100,
      files: { read: [], changed: [] },
      model: "m2",
      usage: usage(1)
    }),
    Draft.operationSettled("compact", undefined, none, {
      outcome: "interrupted",
      by: { session: "s", kind: "prompt", operationId: "p" }
    }),
    Draft.operationStarted("prompt", undefined, undefined),
    Draft.user([text("left behind")]),
    Draft.operationSettled("prompt", undefined, none, { outcome: "completed" }),
    Draft.headMoved(20),
    Draft.label("here `it` is", 3),
    Draft.label("gone", 4),
    Draft.label("gone", null),
    Draft.operationStarted("shell", undefined, undefined),
    Draft.operationResumed("shell", 2),
    Draft.assistant([text("cut")], "m", "length", usage(2_000), true)
  ]),
  children: [
    {
      session: { ...session, id: "task:s:1", agent: "worker" },
      entries: history([
        Draft.operationStarted("prompt", undefined, undefined),
        Draft.user([text("do")]),
        said("done"),
        Draft.operationSettled("prompt", undefined, none, { outcome: "interrupted", by: "import" })
      ]),
      children: []
    }
  ]
})

describe("a transcript", () => {
  for (const tasks of ["sections", "nested", "off"] as const) {
    it(`of everything that there is, with tasks ${tasks}, is the page that is kept`, () => {
      const file = fileURLToPath(new URL(`../fixtures/transcript-${tasks}.md`, import.meta.url))
      const page = Transcript.render(everything(), { tasks })
      if (!existsSync(file) || process.env["BATON_GOLDEN"] === "write") writeFileSync(file, page)
      assert.strictEqual(page, readFileSync(file, "utf8"))
    })
  }

  it.effect("of a session is told by its handle, with the sessions of its tasks, and is the same each time", () =>
    Effect.gen(function* () {
      yield* live("s", [
        { does: "call", calls: ["nested", "echo"] },
        { does: "rollback", text: "xxx" }
      ])
      const handle = yield* open(agent)
      const page = yield* handle.transcript()
      assert.strictEqual(page, yield* handle.transcript())
      assert.match(page, /^# Session `s`\n\n- Agent: `lead`\n/)
      assert.match(page, /\n- Not shown: \d+ entries on other branches\n/)
      assert.lengthOf(page.match(/^#+ Session /gm)!, 3)
      assert.lengthOf((yield* handle.transcript({ tasks: "off" })).match(/^#+ Session /gm)!, 1)
      assert.include(page, "> say instead")
      assert.notInclude(page, "> hang in a task")
      yield* (yield* Sessions.Sessions).remove("s")
      assert.strictEqual((yield* Effect.flip(handle.transcript()))._tag, "SessionNotFound")
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("tells what runs as it stands", () =>
    Effect.gen(function* () {
      const handle = yield* hanging("s")
      const page = yield* handle.transcript()
      assert.include(page, "**Tool** `task`: no end is recorded")
      assert.match(page, /\*\*Task\*\* of `worker` `hang`, in `task:s:[^`]+`: no end is recorded/)
    }).pipe(Effect.provide(engine(script)))
  )

  it("cuts what is long, never within a character, and counts it", () => {
    const told = (result: string, maxResult: number) =>
      Transcript.render(
        {
          session,
          children: [],
          entries: history([
            Draft.assistant([call("c", {})], "m", "tool-calls", Usage.zero, true),
            Draft.toolSettled("c", "bash", "success", result, undefined)
          ])
        },
        { maxResult }
      )
    assert.include(told("abcdef", 4), "```text\nabcd\n```\n\n*2 more characters*\n")
    assert.include(told("abc😀f", 4), "```text\nabc\n```\n\n*3 more characters*\n")
    assert.include(told("abcdef", 6), "```text\nabcdef\n```\n")
    for (const most of [0, -1]) assert.include(told("abc", most), "*3 more characters*")
    assert.include(told("abc", Number.NaN), "```text\nabc\n```")
  })
})

/** The lines of a page as its reader takes them for: outside of quotations and blocks of code. */
const outside = (lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  const own: Array<string> = []
  let fence = ""
  for (const line of lines) {
    const [, found = ""] = /^(`{3,})/.exec(line) ?? []
    if (fence !== "") {
      if (line === fence) fence = ""
    } else if (found !== "") fence = found
    else if (!line.startsWith(">")) own.push(line)
  }
  assert.strictEqual(fence, "")
  return own
}

describe("what anybody wrote", () => {
  it("as code, in a block or in a quotation does not get out of it", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          texts,
          fc.string({ unit: fc.constantFrom("`", "~", "\n", "\r", "\t", " ", "<", "b", ">", "!", "[", "\u2028", "#") })
        ),
        (words) => {
          const line = code(words)
          assert.notInclude(line, "\n")
          const [, fence = ""] = /^(`+)/.exec(line) ?? []
          if (line !== "(none)") {
            assert.isTrue(line.endsWith(fence))
            const inner = line.slice(fence.length, -fence.length)
            for (const [run] of inner.matchAll(/`+/g)) assert.notStrictEqual(run.length, fence.length)
            assert.notMatch(inner, /^`|`$/)
          }
          const lines = block(words, "text")
          for (const inner of lines.slice(1, -1))
            assert.isFalse(/^ *`+ *$/.test(inner) && inner.trim().length >= lines[0]!.length - 4)
          assert.deepStrictEqual(outside(lines), [])
          const quotation = quote(words)
          for (const it of quotation) assert.match(it, /^>( [^\n\r\u2028\u2029]*)?$/)
        }
      ),
      { numRuns: 2_000 }
    )
  })

  const table: ReadonlyArray<readonly [string, string, string]> = [
    ["HTML as text", "a <b>b</b> <!-- x --> <?x <!x", "> a &lt;b>b&lt;/b> &lt;!-- x --> &lt;?x &lt;!x"],
    ["what is no HTML as it is", "1 < 2 <- 3 a<=b", "> 1 < 2 <- 3 a<=b"],
    ["images as text, and links as links", "![x](http://y) [x](http://y)", "> !\\[x](http://y) [x](http://y)"],
    ["code as it is", "```html\n<b>\n```\n<b>", "> ```html\n> <b>\n> ```\n> &lt;b>"],
    [
      "code behind a fence that is not its end",
      "````\n```\n<b>\n   ````  \n<b>",
      "> ````\n> ```\n> <b>\n>    ````  \n> &lt;b>"
    ],
    [
      "a fence within a list behind the list",
      "- a\n  ```\n  <b>\n  ```\n<b>",
      "> - a\n> ```\n>   <b>\n>   ```\n> &lt;b>"
    ],
    ["the end of code that begins behind spaces", "   ```\n```\n<b>", "> ```\n> ```\n> &lt;b>"],
    ["tildes behind spaces as well", " ~~~ a`b\n~~~\n![x](y)", "> ~~~ a`b\n> ~~~\n> !\\[x](y)"],
    ["a fence behind four spaces as none", "    ```\n<b>", ">     ```\n> &lt;b>"],
    ["a fence that is none", "``` `\n<b>", "> ``` `\n> &lt;b>"],
    ["a fence of another kind within one", "~~~\n```\n<b>\n~~~\n<b>", "> ~~~\n> ```\n> <b>\n> ~~~\n> &lt;b>"],
    ["an end behind a tab as no end", "```\n\t```\n<b>\n```\n<b>", "> ```\n>     ```\n> <b>\n> ```\n> &lt;b>"],
    ["no control characters", "a\u001b[31mb\u202ec\u0007", "> abc"]
  ]
  for (const [what, words, told] of table) {
    it(`has ${what}`, () => assert.strictEqual(quote(words).join("\n"), told))
  }

  it.effect("is no other part of a page, whatever the history", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(acts, fc.constantFrom("sections" as const, "off" as const), (past, tasks) =>
          Effect.gen(function* () {
            yield* live("s", past)
            const page = yield* (yield* open(agent)).transcript({ tasks })
            for (const line of outside(page.trimEnd().split("\n"))) {
              assert.match(
                line,
                /^$|^#{1,6} (Session `|\d+\. (Prompt|Command|Compaction|Task|Skill))|^- (Agent|Folder|Created|Last entry|Models|Usage|Not shown): |^\*.*\*?$|^\*\*(User|Assistant|Tool|Task)/
              )
              assert.notMatch(line.replace(/(`+).*?\1/g, ""), /[<[\]]/)
            }
          }).pipe(Effect.provide(engine(script)), Effect.runPromise)
        ),
        { numRuns: 40 }
      )
    )
  )
})
