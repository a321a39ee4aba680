/**
 * `npm run soak:kill -- [--rounds N] [--seed S] [--mb SIZE]`: kills sender, receiver or both of two real peers in the middle
 * of transfers, round after round (test/support/kill-soak.ts). Needs root and network namespaces. Exit code 1 when a
 * torn file was seen or the two did not become equal.
 */
import { parseArgs } from 'node:util'
import { soakKills, summarise } from '../test/support/kill-soak.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    mb: { type: 'string', default: '48' },
  },
})
const [rounds, seed, mb] = [Number(values.rounds), Number(values.seed), Number(values.mb)]
if (![rounds, seed, mb].every((value) => Number.isSafeInteger(value) && value > 0)) {
  console.error('usage: npm run soak:kill -- [--rounds N] [--seed S] [--mb SIZE]')
  process.exitCode = 2
} else {
  try {
    const done = await soakKills({
      rounds,
      seed,
      bigBytes: mb * 1024 * 1024,
      onRound: (round) => console.log(JSON.stringify(round)),
    })
    console.log(summarise(done))
  } catch (error) {
    console.error(error)
    process.exitCode = 1
  }
}
