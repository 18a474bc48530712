// The loop of an adapter in JavaScript: scenario.py says what the commands are.
import { createInterface } from 'node:readline'

export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// Until `records` has `count` or 20 s are over; a moment longer, to see whether there are too many.
export async function gathered (records, count) {
  const end = Date.now() + 20000
  while (records.length < Number(count) && Date.now() < end) await wait(20)
  await wait(200)
  return records.map(({ partition, offset, key }) => `${partition} ${offset} ${key}`)
}

// `commands` has a function for each; they take words and return the lines of the answer, null for "unsupported".
export async function serve (commands) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, ...words] = line.split(' ')
    let answer
    try {
      const lines = commands[name] ? await commands[name](...words) : null
      answer = lines === null ? 'unsupported' : [...(lines ?? []).map((each) => `= ${each}`), 'ok'].join('\n')
    } catch (error) {
      const causes = (error.errors ?? []).map((each) => each.message).join(', ')
      answer = `error ${error.name}: ${error.message} ${causes}`.replace(/\n/g, ' ')
    }
    process.stdout.write(answer + '\n')
  }
  process.exit(0)
}
