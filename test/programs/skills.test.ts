import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Agent, Engine, Model, Sandbox, Script, Sessions } from "effect-baton"
import { NodeSandbox, SkillFolder } from "effect-baton/node"
import { validate } from "skills-ref"
import { readSkill } from "../../src/programs/skillFolder.js"
import { look } from "../../src/programs/workspace.js"
import { filesSandbox } from "../support/filesSandbox.js"

/** A folder that is gone when the test is over. */
const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "skills-"))),
  (at) => Effect.sync(() => fs.rmSync(at, { recursive: true }))
)

const write = (root: string, files: Readonly<Record<string, string>>) => {
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true })
    fs.writeFileSync(path.join(root, name), text)
  }
}

const front = (fields: string, body = "Do it.") => `---\n${fields}\n---\n${body}\n`
const good = (name: string, more = "") => front(`name: ${name}\ndescription: Does it${more}`)

/** A folder's name, its `SKILL.md`, and what is wrong with it, where anything is. */
const rows: ReadonlyArray<readonly [folder: string, file: string, problem?: string]> = [
  ["plain", good("plain")],
  ["a1-b2", good("a1-b2")],
  ["123", good("123")],
  ["x".repeat(64), good("x".repeat(64))],
  [
    "all-fields",
    good("all-fields", "\nlicense: MIT\ncompatibility: any\nallowed-tools: Bash Read\nmetadata:\n  a: '1'")
  ],
  ["quoted", front(`name: "quoted"\ndescription: 'It''s: fine'`)],
  ["folded", front("name: folded\ndescription: >\n  Does it\n  all")],
  ["windows", good("windows").replaceAll("\n", "\r\n")],
  ["long", front(`name: long\ndescription: ${"x".repeat(1024)}`)],
  ["compatible", good("compatible", `\ncompatibility: ${"x".repeat(500)}`)],
  ["no-front", "# No front matter", "SKILL.md:1: it does not begin with front matter, between lines of ---"],
  ["no-end", "---\nname: no-end\ndescription: x\n", "SKILL.md:1: its front matter has no end: a line of ---"],
  ["empty", "", "SKILL.md:1: it does not begin with front matter, between lines of ---"],
  ["no-name", front("description: x"), "SKILL.md:1: its name is wrong: it is missing"],
  ["no-description", front("name: no-description"), "SKILL.md:1: its description is wrong: it is missing"],
  ["blank", front("name: blank\ndescription: '  '"), "SKILL.md:3: its description is wrong: it is missing"],
  [
    "Upper",
    good("Upper"),
    "SKILL.md:2: its name is wrong: it has something else than lower-case letters, digits and hyphens"
  ],
  [
    "under_score",
    good("under_score"),
    "SKILL.md:2: its name is wrong: it has something else than lower-case letters, digits and hyphens"
  ],
  ["-a", good("-a"), "SKILL.md:2: its name is wrong: it begins or ends with a hyphen"],
  ["a-", good("a-"), "SKILL.md:2: its name is wrong: it begins or ends with a hyphen"],
  ["a--b", good("a--b"), "SKILL.md:2: its name is wrong: it has two hyphens in a row"],
  ["y".repeat(65), good("y".repeat(65)), "SKILL.md:2: its name is wrong: it is longer than 64 characters"],
  ["other", good("another"), 'SKILL.md:2: its name "another" is not that of its folder, "other"'],
  [
    "too-long",
    front(`name: too-long\ndescription: ${"x".repeat(1025)}`),
    "SKILL.md:3: its description is wrong: it is longer than 1024 characters"
  ],
  ["unknown", good("unknown", "\nmodel: opus"), 'SKILL.md:4: its front matter has the unknown field "model"'],
  [
    "compat",
    good("compat", `\ncompatibility: ${"x".repeat(501)}`),
    "SKILL.md:4: its compatibility is not a text of at most 500 characters"
  ],
  ["a-list", front("- a\n- b"), "SKILL.md:2: its front matter is not a mapping"],
  ["broken", front("name: broken\ndescription: [x"), "SKILL.md:3: its front matter is not YAML"],
  ["twice", front("name: twice\nname: twice\ndescription: x"), "SKILL.md:3: its front matter is not YAML"]
]

describe("a folder", () => {
  for (const [name, file, problem] of rows) {
    it.scoped(`${name.slice(0, 20)}: ${problem ?? "is a skill"}, as the reference has it`, () =>
      Effect.gen(function* () {
        const root = path.join(yield* folder, name)
        write(root, { "SKILL.md": file })
        const wrong = yield* Effect.promise(() => validate(root))
        assert.strictEqual(wrong.length === 0, problem === undefined, wrong.join("; "))
        const loaded = yield* Effect.either(SkillFolder.load(root))
        if (problem === undefined) {
          assert.strictEqual(loaded._tag === "Right" ? loaded.right.name : String(loaded.left), name)
        } else {
          assert.include(
            loaded._tag === "Left" ? loaded.left.message : "no error",
            path.join(root, problem.split(": ", 1)[0]!)
          )
          assert.include(loaded._tag === "Left" ? loaded.left.message : "", problem.slice(problem.indexOf(": ") + 2))
        }
      })
    )
  }

  it.scoped("that is missing, or a file, or too large, or a bomb, is refused by name", () =>
    Effect.gen(function* () {
      const root = yield* folder
      const bomb = `${"a: &a [x,x,x,x,x,x,x,x,x]\n"}${[..."bcdefghi"].map((it, i) => `${it}: &${it} [${Array(9).fill(`*${"abcdefgh"[i]}`).join(",")}]`).join("\n")}`
      write(root, {
        file: "x",
        "nothing/x.md": "x",
        "huge/SKILL.md": front("name: huge\ndescription: x", "x".repeat(5_000_000)),
        "bomb/SKILL.md": front(`name: bomb\ndescription: x\nmetadata:\n${bomb.replaceAll(/^/gm, "  ")}`),
        "front/SKILL.md": front(`name: front\ndescription: x\nmetadata:\n${"  a: b\n".repeat(5_000)}`)
      })
      const told = (name: string) =>
        Effect.map(Effect.flip(SkillFolder.load(path.join(root, name))), ({ message }) => message)
      assert.match(yield* told("none"), /none is not usable as a skill: no such file or folder\.$/)
      assert.match(yield* told("file"), /file is not usable as a skill: it is not a folder\.$/)
      assert.match(yield* told("nothing"), /nothing\/SKILL\.md is not usable as a skill: there is no such file\.$/)
      assert.match(yield* told("huge"), /huge\/SKILL\.md is not usable as a skill: it has more than 262144 bytes\.$/)
      assert.match(yield* told("front"), /front\/SKILL\.md:1 is not usable as a skill: its front matter is longer/)
      const start = performance.now()
      const skill = yield* SkillFolder.load(path.join(root, "bomb"))
      assert.strictEqual(skill.name, "bomb")
      assert.isBelow(performance.now() - start, 1_000)
    })
  )

  it.scoped("its files are listed and read inside of it only, also by links", () =>
    Effect.gen(function* () {
      const root = yield* folder
      write(root, { "s/SKILL.md": good("s"), "s/a.md": "a", "s/b/c.md": "c", secret: "no", "s2/x": "beside" })
      fs.symlinkSync("../secret", path.join(root, "s/link"))
      fs.symlinkSync("..", path.join(root, "s/up"))
      fs.symlinkSync("b", path.join(root, "s/in"))
      const skill = yield* SkillFolder.load(path.join(root, "s"))
      assert.deepStrictEqual(yield* skill.files, ["a.md", "b/c.md"])
      const read = (at: string) =>
        Effect.map(Effect.either(skill.read(at, { offset: 0, limit: 100 })), (it) =>
          it._tag === "Left" ? it.left.reason : Buffer.from(it.right).toString()
        )
      assert.strictEqual(yield* read("b/c.md"), "c")
      assert.strictEqual(yield* read("in/c.md"), "c")
      for (const out of [
        "link",
        "up/secret",
        "../secret",
        "../s2/x",
        "/etc/passwd",
        path.join(root, "secret"),
        "b/../../secret"
      ]) {
        assert.match(yield* read(out), /leads out of the s/, out)
      }
      assert.strictEqual(yield* read("none"), "the skill has no such file")
    })
  )
})

describe("what a skill gives", () => {
  it.scoped("is of the folder, however it was named, and of skill.md where there is no other", () =>
    Effect.gen(function* () {
      const root = yield* folder
      write(root, { "s/skill.md": good("s"), "s/a.md": "a" })
      const skill = yield* SkillFolder.load(`${root}/s/.`)
      assert.deepStrictEqual([skill.name, yield* skill.files], ["s", ["a.md"]])
    })
  )

  it.scoped("are 200 files at most, not too deep, and none of a repository or of packages", () =>
    Effect.gen(function* () {
      const root = yield* folder
      const [deep, deeper] = [`${"d/".repeat(8)}f`, `${"d/".repeat(9)}f`]
      write(root, { "s/SKILL.md": good("s"), [`s/${deep}`]: "", [`s/${deeper}`]: "" })
      write(root, { "s/.git/config": "", "s/node_modules/x.md": "" })
      const skill = yield* SkillFolder.load(path.join(root, "s"))
      assert.deepStrictEqual(yield* skill.files, [deep])
      write(root, Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`s/${1_000 + i}`, ""])))
      const files = yield* skill.files
      assert.deepStrictEqual([files.length, files[0], files.at(-1)], [200, "1000", "1199"])
    })
  )

  it.effect("is nothing of a folder that was put in its place while it was read", () =>
    Effect.gen(function* () {
      const files = filesSandbox(
        new Map([
          ["s/SKILL.md", good("s")],
          ["s/f", "swapped"]
        ])
      )
      for (const other of ["elsewhere/f", "s/g"]) {
        let looks = 0
        const place = (at: string) => Effect.sync(() => (at === "s/f" && ++looks > 1 ? other : at))
        const skill = yield* readSkill({ ...files, place }, "s", "s")
        const error = yield* Effect.flip(skill!.read("f", { offset: 0, limit: 10 }))
        assert.strictEqual(error.message, "Cannot read f: it leads out of the skill.")
      }
    })
  )
})

describe("in a real folder", () => {
  it.scoped("a skill may stand elsewhere in the sandbox, behind a link", () =>
    Effect.gen(function* () {
      const root = yield* folder
      write(root, { "shared/far/SKILL.md": good("far"), ".agents/skills/near/SKILL.md": good("near") })
      fs.symlinkSync("../../shared/far", path.join(root, ".agents/skills/far"))
      const found = yield* Effect.flatMap(Sandbox.Sandbox, (files) => look(files, Agent.make("a"), ".")).pipe(
        Effect.provide(NodeSandbox.layer({ root }))
      )
      assert.deepStrictEqual([...found.skills.keys()], ["far", "near"])
    })
  )

  it.scoped("a skill is loaded from the workspace, and its links lead nowhere", () =>
    Effect.gen(function* () {
      const root = yield* folder
      const at = ".agents/skills/review"
      write(root, {
        [`${at}/SKILL.md`]: good("review"),
        [`${at}/a.md`]: "fine",
        ".env": "SECRET",
        "AGENTS.md": "Be brief."
      })
      write(root, { ".agents/skills/reviews/secret": "SECRET" })
      fs.symlinkSync("../../../.env", path.join(root, at, "env"))
      fs.symlinkSync("../reviews", path.join(root, at, "beside"))
      const read = (file: string) => Script.call("read_skill_resource", { skill: "review", path: file })
      const script = [
        Script.on("go", Script.calls(read("a.md"), read("env"), read("../../../.env"), read("beside/secret")), "done")
      ]
      const reply = yield* Effect.gen(function* () {
        const session = yield* (yield* Sessions.Sessions).open({ id: "s", agent: Agent.make("a") })
        yield* session.prompt("go")
        return JSON.stringify(yield* session.history)
      }).pipe(
        Effect.provide(
          Engine.layerMemory.pipe(
            Layer.provide(Model.layerScripted(script)),
            Layer.provideMerge(NodeSandbox.layer({ root }))
          )
        )
      )
      assert.include(reply, "fine")
      assert.include(reply, "Be brief.")
      assert.notInclude(reply, "SECRET")
    })
  )
})
