/**
 * Each rule finds the body that breaks it, and nothing is found in a body that keeps them all.
 */
import { assert, describe, it } from "@effect/vitest"
import { anthropicProblems, chatProblems, responsesProblems } from "./providerRules.js"

/** A body that a change may break in any way. */
type Body = any
type Case = readonly [rule: string, change: (body: Body) => void, found: RegExp]

const check = (good: () => Body, problems: (body: Body) => ReadonlyArray<string>, cases: ReadonlyArray<Case>) => {
  it("nothing is found where nothing is wrong", () => assert.deepStrictEqual(problems(good()), []))
  for (const [rule, change, found] of cases) {
    it(rule, () => {
      const body = good()
      change(body)
      const wrong = problems(body)
      assert.isTrue(
        wrong.some((it) => found.test(it)),
        `found: ${wrong.join("; ")}`
      )
    })
  }
}

const png = "iVBORw0KGgo="
const schema = { type: "object", properties: {} }

describe("Anthropic Messages", () => {
  const good = (): Body => ({
    model: "claude-test",
    max_tokens: 4096,
    thinking: { type: "enabled", budget_tokens: 2048 },
    system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }],
    tools: [{ name: "look", description: "", input_schema: schema }],
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: "What is this?" },
          { type: "image", source: { type: "base64", media_type: "image/png", data: png } }
        ]
      },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "Hm.", signature: "signed" },
          { type: "text", text: "I look." },
          { type: "tool_use", id: "toolu_1", name: "look", input: {} },
          { type: "tool_use", id: "toolu_2", name: "look", input: {} }
        ]
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "toolu_1", content: '"a"' },
          { type: "tool_result", tool_use_id: "toolu_2", content: '"b"', is_error: true },
          { type: "text", text: "And now?" }
        ]
      }
    ]
  })
  const reply = (body: Body): Body => body.messages[1].content
  const results = (body: Body): Body => body.messages[2].content
  const endWith = (body: Body, content: ReadonlyArray<unknown>) => {
    delete body.thinking
    body.messages.push({ role: "assistant", content })
  }
  check(good, (body) => anthropicProblems(body, [{ thinking: "Hm.", signature: "signed" }]), [
    ["no messages", (it) => (it.messages = []), /none/],
    ["the user is first", (it) => it.messages.shift(), /first message/],
    ["roles alternate", (it) => it.messages.unshift(it.messages[0]), /one role in a row/],
    ["no other role", (it) => (it.messages[0].role = "system"), /the role system/],
    ["each call has a result", (it) => results(it).shift(), /no result for toolu_1/],
    ["each call has one result", (it) => results(it).unshift(results(it)[0]), /two results for toolu_1/],
    ["a result has its call", (it) => (results(it)[0].tool_use_id = "toolu_9"), /result for toolu_9/],
    [
      "results stand in the very next message",
      (it) =>
        it.messages.splice(
          2,
          0,
          { role: "user", content: [{ type: "text", text: "Wait." }] },
          { role: "assistant", content: [{ type: "text", text: "Yes." }] }
        ),
      /messages\.2: no result for toolu_1/
    ],
    ["results come first", (it) => results(it).unshift(results(it).pop()), /result after something else/],
    ["no results in a reply", (it) => reply(it).push(results(it)[0]), /tool_result in a reply/],
    ["no calls of the user's", (it) => results(it).push(reply(it)[2]), /tool_use in a user message/],
    ["a last reply has no calls", (it) => it.messages.pop(), /calls without results/],
    ["ids are unique", (it) => (reply(it)[3].id = "toolu_1"), /two calls have the id/],
    [
      "ids are unique in the whole history",
      (it) => it.messages.push({ role: "assistant", content: [reply(it)[0], reply(it)[2]] }),
      /two calls have the id toolu_1/
    ],
    ["ids have few characters", (it) => (reply(it)[2].id = "functions.look:0"), /the call id/],
    ["ids are not empty", (it) => (reply(it)[2].id = ""), /the call id/],
    ["names of calls", (it) => (reply(it)[2].name = "look at"), /the tool name/],
    ["arguments are an object", (it) => (reply(it)[2].input = "{}"), /input: not an object/],
    ["no blank text of the user", (it) => (it.messages[0].content[0].text = " \n"), /a blank text/],
    ["no blank text of a reply", (it) => (reply(it)[1].text = ""), /a blank text/],
    ["no blank message as text", (it) => (it.messages[0].content = ""), /a blank text/],
    ["no empty content", (it) => (it.messages[0].content = []), /empty content/],
    ["whole characters", (it) => (reply(it)[1].text = "\ud800"), /half a character/],
    ["whole characters in results", (it) => (results(it)[0].content = "\ud800"), /half a character/],
    ["the last reply does not end in white space", (it) => endWith(it, [{ type: "text", text: "So " }]), /white space/],
    [
      "no reply is begun for a model that thinks",
      (it) => it.messages.push({ role: "assistant", content: [{ type: "text", text: "So" }] }),
      /a reply is begun/
    ],
    ["thinking is first", (it) => reply(it).splice(1, 0, ...reply(it).splice(0, 1)), /thinking that is not first/],
    ["thinking is not last", (it) => endWith(it, [reply(it)[0]]), /last block is thinking/],
    ["thinking is signed", (it) => delete reply(it)[0].signature, /without a signature/],
    ["thinking is not altered", (it) => (reply(it)[0].thinking = "Hm!"), /altered thinking/],
    ["thinking is not marked", (it) => (reply(it)[0].cache_control = { type: "ephemeral" }), /marker on thinking/],
    ["thinking comes back with its calls", (it) => reply(it).shift(), /calls without the thinking/],
    ["a history with calls needs tools", (it) => delete it.tools, /none, and the history has calls/],
    ["max_tokens is above the budget", (it) => (it.max_tokens = 2048), /not above the budget/],
    ["a budget has a least", (it) => (it.thinking.budget_tokens = 1000), /a budget of 1000/],
    ["max_tokens is given", (it) => delete it.max_tokens, /max_tokens/],
    ["no temperature beside thinking", (it) => (it.temperature = 0), /temperature/],
    ["no forced call beside thinking", (it) => (it.tool_choice = { type: "any" }), /forced/],
    [
      "four markers at most",
      (it) => it.messages[0].content.push(...Array.from({ length: 4 }, () => ({ ...it.system[0] }))),
      /5 markers/
    ],
    ["one kind of marker", (it) => (it.system[0].cache_control = { type: "x" }), /unknown kind of marker/],
    ["names of tools", (it) => (it.tools[0].name = "look.at"), /the tool name/],
    ["names of tools are unique", (it) => it.tools.push(it.tools[0]), /two tools are called look/],
    ["schemas are of objects", (it) => (it.tools[0].input_schema = {}), /schema is not of an object/],
    ["images have a known type", (it) => (it.messages[0].content[1].source.media_type = "image/bmp"), /image\/bmp/],
    ["images are base64", (it) => (it.messages[0].content[1].source.data = "data:x"), /not base64/],
    ["images have a source", (it) => (it.messages[0].content[1].source.type = "file"), /an image by file/],
    ["no blank system prompt", (it) => (it.system[0].text = ""), /system\.0: a blank text/],
    ["a model is named", (it) => delete it.model, /model: not a text/]
  ])
})

describe("OpenAI Responses", () => {
  const good = (): Body => ({
    model: "gpt-test",
    store: false,
    tools: [{ type: "function", name: "look", parameters: schema, strict: false }],
    input: [
      { role: "developer", content: "Be brief." },
      {
        role: "user",
        content: [
          { type: "input_text", text: "What is this?" },
          { type: "input_image", image_url: `data:image/png;base64,${png}` }
        ]
      },
      { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: "Hm." }], encrypted_content: "xx" },
      { role: "assistant", id: "msg_1", content: [{ type: "output_text", text: "I look." }] },
      { type: "function_call", id: "fc_1", call_id: "call_1", name: "look", arguments: "{}" },
      { type: "function_call", id: "fc_2", call_id: "call_2", name: "look", arguments: "{}" },
      { type: "function_call_output", call_id: "call_1", output: '"a"' },
      { type: "function_call_output", call_id: "call_2", output: '"b"' }
    ]
  })
  check(good, (body) => responsesProblems(body, [["rs_1", "msg_1", "fc_1", "fc_2"]]), [
    ["no input", (it) => (it.input = []), /none/],
    ["each call has an output", (it) => it.input.pop(), /no output for call_2/],
    ["each call has one output", (it) => it.input.push(it.input[6]), /two outputs for call_1/],
    ["an output has its call", (it) => (it.input[6].call_id = "call_9"), /output for call_9/],
    [
      "an output comes after its call",
      (it) => it.input.unshift(it.input.pop()),
      /output for call_2, which nothing before/
    ],
    ["call ids are unique", (it) => (it.input[5].call_id = "call_1"), /two calls have the id/],
    ["call ids have a length", (it) => (it.input[4].call_id = "x".repeat(65)), /the call id/],
    ["call ids are not empty", (it) => (it.input[4].call_id = ""), /the call id/],
    ["item ids are unique", (it) => (it.input[5].id = "fc_1"), /two items have the id/],
    ["item ids have a prefix", (it) => (it.input[4].id = "msg_2"), /the id msg_2 of a function_call/],
    ["names of calls", (it) => (it.input[4].name = "look at"), /the tool name/],
    ["arguments are JSON", (it) => (it.input[4].arguments = "{"), /not a JSON object/],
    ["arguments are an object", (it) => (it.input[4].arguments = "[]"), /not a JSON object/],
    ["reasoning leads to something", (it) => it.input.splice(3, 5), /reasoning without what it led to/],
    ["reasoning leads to a reply", (it) => it.input.splice(3, 3), /reasoning without what it led to/],
    ["reasoning stands before what it led to", (it) => it.input.splice(3, 1), /reasoning rs_1 without msg_1/],
    ["what reasoning led to comes with it", (it) => it.input.splice(2, 1), /msg_1 without its reasoning rs_1/],
    ["reasoning that is not stored comes whole", (it) => delete it.input[2].encrypted_content, /brings no content/],
    ["reasoning has an id", (it) => delete it.input[2].id, /reasoning without an id/],
    ["no blank text", (it) => (it.input[1].content[0].text = " "), /a blank text/],
    ["no blank message", (it) => (it.input[0].content = ""), /a blank text/],
    ["no empty content", (it) => (it.input[3].content = []), /empty content/],
    ["whole characters", (it) => (it.input[6].output = "\udc00"), /half a character/],
    ["no empty output", (it) => (it.input[6].output = []), /an empty output/],
    ["no other role", (it) => (it.input[1].role = "tool"), /the role tool/],
    ["parts belong to roles", (it) => (it.input[3].content[0].type = "input_text"), /input_text of the role assistant/],
    ["no other part", (it) => (it.input[1].content[0].type = "text"), /the part text/],
    ["no other item", (it) => (it.input[6].type = "tool_result"), /the item tool_result/],
    ["images have a known type", (it) => (it.input[1].content[1].image_url = `data:image/tiff;base64,${png}`), /tiff/],
    ["images are base64", (it) => (it.input[1].content[1].image_url = "data:image/png;base64,_"), /not base64/],
    ["images have a place", (it) => delete it.input[1].content[1].image_url, /without a place/],
    ["a least of output", (it) => (it.max_output_tokens = 8), /max_output_tokens/],
    ["names of tools", (it) => (it.tools[0].name = "x".repeat(65)), /the tool name/],
    ["tools are functions", (it) => (it.tools[0].type = "tool"), /the type tool/],
    ["schemas are of objects", (it) => (it.tools[0].parameters = { type: "array" }), /schema is not of an object/]
  ])
})

describe("OpenAI Chat Completions", () => {
  const called = (id: string) => ({ id, type: "function", function: { name: "look", arguments: "{}" } })
  const good = (): Body => ({
    model: "gpt-test",
    tools: [{ type: "function", function: { name: "look", parameters: schema } }],
    messages: [
      { role: "system", content: "Be brief." },
      {
        role: "user",
        content: [
          { type: "text", text: "What is this?" },
          { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } }
        ]
      },
      { role: "assistant", content: null, tool_calls: [called("call_1"), called("call_2")] },
      { role: "tool", tool_call_id: "call_1", content: "a" },
      { role: "tool", tool_call_id: "call_2", content: "" }
    ]
  })
  check(good, chatProblems, [
    ["no messages", (it) => (it.messages = []), /none/],
    ["the user has said something", (it) => it.messages.splice(1, 1), /nothing of the user/],
    ["each call has a tool message", (it) => it.messages.pop(), /no tool message for call_2/],
    [
      "tool messages stand directly after the reply",
      (it) => it.messages.splice(3, 0, { role: "user", content: "Wait." }),
      /messages\.3: no tool message for call_1/
    ],
    ["each call has one tool message", (it) => it.messages.push(it.messages[3]), /result for call_1/],
    ["a tool message has its call", (it) => (it.messages[3].tool_call_id = "call_9"), /result for call_9/],
    ["a tool message follows a reply with calls", (it) => delete it.messages[2].tool_calls, /result for call_1/],
    ["ids are unique", (it) => (it.messages[2].tool_calls[1].id = "call_1"), /the id call_1/],
    ["ids have a length", (it) => (it.messages[2].tool_calls[0].id = "x".repeat(41)), /the call id/],
    ["calls are of functions", (it) => (it.messages[2].tool_calls[0].type = "x"), /a call of the type x/],
    ["names of calls", (it) => (it.messages[2].tool_calls[0].function.name = "a b"), /the tool name/],
    ["arguments are JSON", (it) => (it.messages[2].tool_calls[0].function.arguments = ""), /not a JSON object/],
    ["arguments are text", (it) => (it.messages[2].tool_calls[0].function.arguments = {}), /not a JSON object/],
    ["a list of calls is not empty", (it) => (it.messages[2].tool_calls = []), /an empty list of calls/],
    ["a reply says something", (it) => delete it.messages[2].tool_calls, /neither content nor calls/],
    ["the last message is no reply", (it) => it.messages.push({ role: "assistant", content: "So" }), /last message/],
    ["no blank text", (it) => (it.messages[1].content[0].text = ""), /a blank text/],
    ["no empty content", (it) => (it.messages[1].content = []), /empty content/],
    ["a reply's content is not blank", (it) => (it.messages[2].content = ""), /a blank text/],
    ["whole characters", (it) => (it.messages[3].content = "\ud83d"), /half a character/],
    ["no instructions in the middle", (it) => it.messages.push({ role: "system", content: "Hm." }), /in the middle/],
    ["no other role", (it) => (it.messages[1].role = "human"), /the role human/],
    ["no other part", (it) => (it.messages[1].content[0].type = "input_text"), /the part input_text/],
    [
      "images have a known type",
      (it) => (it.messages[1].content[1].image_url.url = "data:text/plain;base64,eA=="),
      /text/
    ],
    ["images have a place", (it) => (it.messages[1].content[1].image_url = {}), /without a place/],
    ["a history with calls needs tools", (it) => delete it.tools, /none, and the history has calls/],
    ["a list of tools is not empty", (it) => (it.tools = []), /an empty list/],
    ["names of tools", (it) => (it.tools[0].function.name = ""), /the tool name/],
    ["names of tools are unique", (it) => it.tools.push(it.tools[0]), /two tools are called/]
  ])
})
