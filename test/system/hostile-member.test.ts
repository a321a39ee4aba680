/** A paired device that has turned: what it sends is refused and laid at its door, and the others go on. */
import { expect, test } from 'vitest'
import type { LogLine } from '../../src/peer/api.ts'
import { findHarmful } from '../support/harmful-text.ts'
import { describeWith } from '../support/needs.ts'
import { createSiege } from '../support/siege.ts'
import { pairPeers, until } from '../support/skein.ts'

describeWith(['ip', 'nft', 'netns'], 'a hostile member', () => {
  test('is refused, named in the log, and can be put out', { timeout: 180_000 }, async () => {
    await using siege = await createSiege()
    const { alice } = siege
    const mallory = await siege.stranger('mallory')
    const { deviceId, peerId } = await mallory.up()
    await pairPeers(alice, mallory)
    await until('bob knows it too', async () => (await siege.bob.status()).links.length === 2)
    await mallory.run('down')

    await siege.endure('a hostile member', async () => {
      const lines = await siege.attack({ mode: 'member', home: mallory.home }).result
      console.log(lines.map(({ what, outcome }) => `${String(what)}: ${String(outcome)}`).join('\n'))
      expect(lines).toHaveLength(27)
      const harmless = ['asked, still there']
      for (const { what, outcome } of lines) {
        const isAnswered = ['answered', 'greeted', 'no answer', 'closed', 'odd'].includes(String(outcome))
        expect({
          what,
          outcome,
          isAnswered: isAnswered && !harmless.includes(String(outcome)),
        }).toMatchObject({ isAnswered: false })
      }
    })

    const logged = await alice.run('logs', '--lines', '2000', '--json')
    const warnings = logged.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as LogLine) // because: --json prints log lines
      .filter(({ level, fields }) => {
        const text = JSON.stringify(fields)
        return level === 'warn' && (text.includes(deviceId) || text.includes(peerId))
      })
    console.log(
      'in the log',
      new Set(
        warnings.map(
          ({ scope, message, fields }) => `${scope}: ${message} ${JSON.stringify(fields['protocol'])}`,
        ),
      ),
    )
    expect(warnings.length).toBeGreaterThan(10)
    const shown = await alice.run('logs', '--lines', '2000')
    expect(findHarmful(shown.stdout, true)).toEqual([])

    await alice.json('revoke', deviceId, '--yes')
    await siege.endure('the same, put out', async () => {
      const attack = siege.attack({ mode: 'member', home: mallory.home })
      const lines = await attack.result
      for (const { outcome } of lines) expect(outcome).toMatch(/^threw (peer\.gone|auth\.denied)$/)
    })
  })
})
