/** SIGKILL of sender, receiver or both in the middle of transfers; `npm run soak:kill` does so for hundreds of rounds. */
import { expect, test } from 'vitest'
import { soakKills, summarise } from '../support/kill-soak.ts'
import { describeWith } from '../support/needs.ts'

const rounds = 4

describeWith(['ip', 'nft', 'netns'], 'peers killed in the middle of a transfer', () => {
  test(
    'show no torn file at any moment, end equal and complete, and send little twice',
    { timeout: 300_000 },
    async () => {
      const done = await soakKills({ rounds, seed: 4, bigBytes: 24 * 1024 * 1024 })
      const summary = summarise(done)
      console.log('killed peers', summary)
      expect(summary.rounds).toBe(rounds)
      // Of what had arrived 2 MiB at most (limits.blobUnwrittenBytes), of what was on its way the four ranges that are asked
      // for at once (limits.blobRangesInFlight), and half a MiB of small files and of starting again
      expect(summary.resentMaxMB).toBeLessThan(6.8)
    },
  )
})
