/** What a stranger can do with a pairing window: guess three times, and nothing else. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { describeWith } from '../support/needs.ts'
import type { Siege } from '../support/siege.ts'
import { createSiege } from '../support/siege.ts'
import type { SkeinPeer } from '../support/skein.ts'

const wrong = (code: string): string => `${code.slice(0, -1)}${code.endsWith('0') ? '1' : '0'}`
const timeout = 120_000

describeWith(['ip', 'nft', 'netns'], 'a pairing window under attack', () => {
  let siege: Siege
  let mallory: SkeinPeer
  let place: readonly string[]
  beforeAll(async () => {
    siege = await createSiege()
    mallory = await siege.stranger('mallory')
    await mallory.up()
    place = ['--address', `${siege.lab.addressOf(0)}:${siege.port}`]
  })
  afterAll(async () => siege?.[Symbol.asyncDispose]())

  test('one guess a code, three codes, then it closes', { timeout }, async () => {
    await siege.endure('guessing', async () => {
      await using window = await siege.openWindow('--yes')
      let code = window.shortCode
      const seen = new Set([code])
      for (let guess = 1; guess <= limits.pairCodes; guess++) {
        const tried = await mallory.run('pair', wrong(code), ...place)
        expect(tried).toMatchObject({ code: 4 })
        expect(tried.stderr).toContain('the code was wrong')
        if (guess === limits.pairCodes) break
        const next = await window.next('code')
        expect(next.codesLeft).toBe(limits.pairCodes - guess)
        // The code that was guessed at is void, also for who knows it
        expect((await mallory.run('pair', code, ...place)).code).not.toBe(0)
        code = next.shortCode
        seen.add(code)
      }
      expect(seen.size).toBe(limits.pairCodes)
      expect(await window.next('closed')).toMatchObject({ reason: 'codes-used' })
    })
  })

  test('messages out of order, malformed or too long end that attempt at once', { timeout }, async () => {
    await siege.endure('messages out of order', async () => {
      await using _window = await siege.openWindow('--yes')
      const lines = await siege.attack({ mode: 'order' }).result
      console.log('order', lines)
      expect(lines).toHaveLength(10)
      for (const line of lines) expect(line['ended']).not.toBe('closed')
    })
  })

  test('a transcript played again is void, for the same device and for another', { timeout }, async () => {
    await siege.endure('a replay', async () => {
      await using window = await siege.openWindow()
      const lines = await siege.attack({ mode: 'replay', longCode: window.longCode }).result
      console.log('replay', lines)
      expect(lines[0]).toMatchObject({ stage: 'proved' })
      expect(lines).toHaveLength(3)
      for (const line of lines.slice(1)) expect(line).toMatchObject({ answers: 0 })
      for (const line of lines.slice(1)) expect(line['ended']).not.toBe('closed')
    })
  })

  test('a device in the middle that relays every message gets neither side', { timeout }, async () => {
    await siege.endure('a relay', async () => {
      await using window = await siege.openWindow('--yes')
      const attack = siege.attack({ mode: 'relay' })
      const lines = attack.lines()
      const { value: ready } = await lines.next()
      const before = await mallory.status()
      // The newcomer is made to talk to the middle: by short code, by QR, and by comparing where nobody looks
      for (const code of [window.shortCode, window.longCode]) {
        const tried = await mallory.run('pair', code, '--address', String(ready?.['address']))
        expect(tried.code).toBe(4)
        console.log('relay', tried.stderr.trim().split('\n').slice(-2))
      }
      attack.kill()
      expect((await mallory.status()).mesh).toBe(before.mesh)
    })
  })

  test('--yes lets in who proves the code, never who only compares', { timeout }, async () => {
    await siege.endure('comparing with nobody', async () => {
      await using window = await siege.openWindow('--yes')
      expect((await mallory.run('pair', '--compare', '--yes', ...place)).code).toBe(4)
      expect(await window.next('failed')).toBeDefined()
    })
  })
})

describeWith(['ip', 'nft', 'netns'], 'forged discovery', () => {
  test(
    'changes no trusted state, and the way back to a member stays short',
    { timeout: 180_000 },
    async () => {
      await using siege = await createSiege()
      const { alice, bob, lab } = siege
      const bobStatus = await bob.status()
      await siege.endure('1,000 forged peers', async () => {
        const victims = [bobStatus.peerId, (await alice.status()).peerId]
        const lines = await siege.attack({ mode: 'mdns', victims }).result
        console.log('mdns', lines)
        expect(lines).toHaveLength(1)
      })
      // While it goes on, the link breaks and must come back by the good address
      const attack = siege.attack({ mode: 'mdns', victims: [bobStatus.peerId] })
      await lab.cut(0, 1)
      const isUp = async (): Promise<boolean> =>
        (await alice.status()).links.some((link) => link.state === 'up')
      for (const startMs = performance.now(); await isUp();) {
        if (performance.now() - startMs > 20_000) throw new Error('the cut was not noticed')
      }
      await new Promise((resolve) => setTimeout(resolve, 11_000))
      await lab.heal()
      const healedMs = performance.now()
      while (!(await isUp())) {
        if (performance.now() - healedMs > 20_000) throw new Error('not linked again')
      }
      const reconnectMs = Math.round(performance.now() - healedMs)
      console.log('reconnect under forged discovery', { reconnectMs })
      expect(reconnectMs).toBeLessThan(6_000)
      attack.kill()
      await siege.endure('after it', () => Promise.resolve())
    },
  )
})
