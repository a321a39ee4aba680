/**
 * A device that was off while another one rotated its key finds it again, whenever it comes back: with only two devices
 * there is nobody else who could tell it of the rotation.
 */
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createMeshLab } from '../support/mesh-lab.ts'
import { describeWith } from '../support/needs.ts'
import { until } from '../support/skein.ts'

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

describeWith(['ip', 'nft', 'netns'], 'key rotation while a device is away', () => {
  test(
    'both meet again under the new key, and the former one is then let go',
    { timeout: 120_000 },
    async () => {
      await using mesh = await createMeshLab({ hosts: 2 })
      const [rotating, away] = [mesh.peer(0), mesh.peer(1)]
      const retired = join(rotating.home, 'keep', 'secret', 'retired-keys.value')
      await away.stop()
      const before = (await rotating.status()).peerId
      const { peerId } = await rotating.client.call('rotate', {})
      expect(peerId).not.toBe(before)
      expect(await exists(retired)).toBe(true)

      // The former key must survive a restart, which also changes every port
      await rotating.stop()
      await rotating.start()
      expect((await rotating.status()).peerId).toBe(peerId)
      await away.start()
      await mesh.whole()
      const { elapsedMs } = await until('the new key', async () => {
        const devices = await away.client.call('devices', {})
        return devices.some((device) => device.peerId === peerId && device.state === 'up')
      })
      await until('the former key is let go', async () => !(await exists(retired)))
      console.log(`known ${Math.round(elapsedMs)} ms after the link was up`)
      await mesh.settled()
    },
  )
})
