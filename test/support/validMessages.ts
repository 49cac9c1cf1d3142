export { problems } from "../../src/services/testing/Messages.js"
