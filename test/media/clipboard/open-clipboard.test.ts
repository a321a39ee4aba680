/** Which clipboard a machine has, and what a format is called there. */
import { describe, expect, test } from 'vitest'
import { createSystemEnv } from '../../../src/base/env.ts'
import { isConcealed } from '../../../src/media/clipboard/concealment.ts'
import { chooseClipboard, openDesktopClipboard } from '../../../src/media/clipboard/open-clipboard.ts'
import { chooseTargets, decodeTarget, encodeTarget } from '../../../src/media/clipboard/x11-formats.ts'
import { bytesOf } from '../../contract/desktop-clipboard.ts'

describe('the clipboard that is chosen', () => {
  const choose = (
    variables: Readonly<Record<string, string>>,
    platform = 'linux',
    commands = 'wl-paste wl-copy',
  ) => chooseClipboard({ platform, variables, hasCommand: (name) => commands.split(' ').includes(name) })

  test.each([
    ['memory', {}],
    ['memory', { DISPLAY: 'elsewhere:0', WAYLAND_DISPLAY: '' }],
    ['x11', { DISPLAY: ':0' }],
    ['wayland', { WAYLAND_DISPLAY: 'wayland-0' }],
    ['wayland', { DISPLAY: ':0', WAYLAND_DISPLAY: 'wayland-0', XDG_CURRENT_DESKTOP: 'KDE' }],
    ['x11', { DISPLAY: ':0', WAYLAND_DISPLAY: 'wayland-0', XDG_CURRENT_DESKTOP: 'ubuntu:GNOME' }],
    ['wayland', { WAYLAND_DISPLAY: 'wayland-0', XDG_CURRENT_DESKTOP: 'GNOME' }],
  ])('is %s with %j', (kind, variables) => {
    expect(choose(variables)).toBe(kind)
  })

  test('follows the platform, and does without programs that are missing', () => {
    expect(choose({ DISPLAY: ':0' }, 'darwin')).toBe('macos')
    expect(choose({}, 'win32')).toBe('windows')
    expect(choose({ WAYLAND_DISPLAY: 'wayland-0' }, 'linux', 'wl-copy')).toBe('memory')
    expect(choose({ WAYLAND_DISPLAY: 'wayland-0', DISPLAY: ':0' }, 'linux', '')).toBe('x11')
  })

  test('is ready in memory, and away at once where there is no display yet', async () => {
    const open = (variables: Readonly<Record<string, string>>) =>
      openDesktopClipboard(createSystemEnv(), { platform: 'linux', variables })
    await using memory = open({})
    await using missing = open({ DISPLAY: ':65000' })
    expect([memory.name, memory.state.kind]).toEqual(['memory', 'ready'])
    expect([missing.name, missing.state.kind]).toEqual(['x11', 'away'])
  })
})

describe('formats of an X display', () => {
  test('each is taken once, from the best name it has', () => {
    const offered = new Set([
      'TARGETS',
      'STRING',
      'text/plain',
      'UTF8_STRING',
      'application/rtf',
      'image/bmp',
    ])
    expect(chooseTargets(offered)).toEqual([
      { mime: 'text/plain', target: 'UTF8_STRING' },
      { mime: 'text/rtf', target: 'application/rtf' },
    ])
  })

  test('Latin-1 becomes Unicode on the way in, and what it cannot say a question mark on the way out', () => {
    expect(decodeTarget('STRING', Uint8Array.of(0x67, 0xf6))).toEqual(bytesOf('gö'))
    expect([...encodeTarget('STRING', bytesOf('gö👍日'))]).toEqual([0x67, 0xf6, 0x3f, 0x3f])
    expect(encodeTarget('UTF8_STRING', bytesOf('👍'))).toEqual(bytesOf('👍'))
  })

  test('one mark of a secret among many names is enough, and names are not guessed', () => {
    expect(isConcealed(['TARGETS', 'x-kde-passwordManagerHint'])).toBe(true)
    expect(isConcealed(['x-kde-passwordmanagerhint', 'text/plain'])).toBe(false)
  })
})
