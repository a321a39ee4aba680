/**
 * `npm run soak:kill -- [--rounds N] [--seed S] [--mb SIZE]`: kills sender, receiver or both of two real peers in the middle
 * of transfers, round after round (test/support/kill-soak.ts). Needs root and network namespaces. Exit code 1 when a
 * torn file was seen or the two did not become equal.
 */
import { integer, readOptions } from '../simulations/options.ts'
import { soakKills, summarise } from '../test/support/kill-soak.ts'

const usage = `npm run soak:kill -- [options]

Kills sender, receiver or both of two real devices in the middle of transfers. Needs root and network namespaces.
Prints a line of JSON for each round. Exit code 1 when a torn file was seen or the two did not become equal.

  --rounds N   how many rounds (200)
  --seed S     what is drawn (1)
  --mb SIZE    size of the large file, in MiB (48)
  --help       this text`

process.exitCode = await main()

async function main(): Promise<number> {
  const values = readOptions(usage, {
    rounds: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    mb: { type: 'string', default: '48' },
  })
  if (typeof values === 'number') return values
  const [rounds = 0, seed = 0, mb = 0] = [integer(values.rounds), integer(values.seed), integer(values.mb)]
  if (!(rounds > 0 && seed > 0 && mb > 0)) {
    console.error(`usage: ${usage}`)
    return 2
  }
  try {
    const done = await soakKills({
      rounds,
      seed,
      bigBytes: mb * 1024 * 1024,
      onRound: (round) => console.log(JSON.stringify(round)),
    })
    console.log(summarise(done))
    return 0
  } catch (error) {
    console.error(error)
    return 1
  }
}
