/** Writes into a Keep for ever, saying what was acknowledged, until it is killed: `node keep-writer.ts DIRECTORY`. */
import { writeSync } from 'node:fs'
import { createSystemEnv } from '../../src/base/env.ts'
import { createHomeKeep } from '../../src/peer/home-keep.ts'

const keep = await createHomeKeep(createSystemEnv(), process.argv[2] ?? '')
const records = await keep.readLog('log')
const value = await keep.read('value')
for (let record = records.length, count = (value?.[0] ?? -1) + 1; ; record++, count++) {
  await keep.append('log', new TextEncoder().encode(String(record)))
  writeSync(1, `record ${record}\n`)
  await keep.write('value', new Uint8Array(20_000).fill(count & 0xff))
  writeSync(1, `value ${count}\n`)
}
