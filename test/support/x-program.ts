/**
 * Another program of an X display: it copies and pastes like any, or as badly as a test wants. Written against the
 * protocol (ICCCM section 2) and not against the code under test.
 */
import { createConnection } from 'node:net'
import { createClient, type XClient, type XDisplay, type XEvent, type XFixes, type XProperty } from 'x11'

export interface XProgram extends Disposable {
  /** The targets that others asked this program for, in order, without TARGETS. */
  readonly asked: readonly string[]
  /** Takes the clipboard and offers these targets (TARGETS too, for a list of one's own); content above `partBytes` goes out in parts. */
  copy(targets: Readonly<Record<string, XAnswer>>): Promise<void>
  /** @returns undefined when the owner has none. */
  paste(target: string): Promise<Buffer | undefined>
  /** All of them in one request (MULTIPLE); undefined for each that the owner does not have. */
  pasteTogether(targets: readonly string[]): Promise<readonly (Buffer | undefined)[]>
  /** Asks, and takes no part of the answer. Resolves when the answer has begun. */
  pasteWithoutReading(target: string): Promise<void>
  /** The next change of the clipboard after this call. */
  changed(): Promise<void>
  /** Cut off without a word. */
  kill(): void
}

/** What is handed out for a target: bytes, or whatever the function does. */
export type XAnswer = Uint8Array | ((request: XProgramRequest) => void | Promise<void>)

export interface XProgramRequest {
  readonly write: (type: string, format: 8 | 16 | 32, data: Uint8Array) => void
  /** Says that the answer is there, or with false that there is none. */
  readonly notify: (isDone: boolean) => void
  /** The next time the reader deletes the property. */
  readonly deleted: () => Promise<void>
}

const masks = { structure: 0x20000, property: 0x400000 }
const partBytes = 200_000
const events = { property: 28, request: 30, answer: 31 }

export async function openXProgram(display: string): Promise<XProgram> {
  const number = display.slice(1)
  const socket = createConnection(`/tmp/.X11-unix/X${number}`)
  const { client, screen, fixes } = await connect(socket, display)
  const atomOf = (name: string): Promise<number> =>
    new Promise((resolve) => client.InternAtom(false, name, (_error, atom) => (resolve(atom), true)))
  const [clipboard, targetsAtom, incr] = await Promise.all(['CLIPBOARD', 'TARGETS', 'INCR'].map(atomOf))
  const [data, atomType] = await Promise.all(['PASTED', 'ATOM'].map(atomOf))
  const atoms = { clipboard: clipboard ?? 0, targets: targetsAtom ?? 0, incr: incr ?? 0, data: data ?? 0 }
  const root = screen.screen[0]?.root ?? 0
  const newWindow = (): number => {
    const id = client.AllocID()
    client.CreateWindow(id, root, 0, 0, 1, 1, 0, 0, 0, 0, { eventMask: masks.property })
    return id
  }
  const window = newWindow()
  fixes.SelectSelectionInput(window, atoms.clipboard, 7)
  const listeners = new Set<(event: XEvent) => void>()
  client.on('event', (event) => listeners.forEach((listener) => listener(event)))
  const next = <T>(pick: (event: XEvent) => T | undefined): Promise<T> =>
    new Promise((resolve) => {
      const listener = (event: XEvent): void => {
        const found = pick(event)
        if (found === undefined) return
        listeners.delete(listener)
        resolve(found)
      }
      listeners.add(listener)
    })
  const asked: string[] = []
  let offered = new Map<number, { readonly name: string; readonly answer: XAnswer }>()
  const parts: XParts = { client, next, atoms, atomOf, atomType: atomType ?? 0 }
  client.on('event', (event) => {
    if (event.type !== events.request) return
    const target = Number(event['target'])
    const found = offered.get(target)
    if (found !== undefined && target !== atoms.targets) asked.push(found.name)
    const list = target === atoms.targets ? [...offered.keys()] : undefined
    void answerRequest(parts, event, found?.answer ?? list)
  })
  return {
    asked,
    async copy(targets) {
      const named = Object.entries(targets).map(
        async ([name, answer]) => [await atomOf(name), { name, answer }] as const,
      )
      offered = new Map(await Promise.all(named))
      client.SetSelectionOwner(window, atoms.clipboard, 0)
      const owner = await new Promise((resolve) =>
        client.GetSelectionOwner(atoms.clipboard, (_error, id) => (resolve(id), true)),
      )
      if (owner !== window) throw new Error('the clipboard was not taken')
    },
    paste: async (target) => await pasteTarget(parts, newWindow(), await atomOf(target)),
    async pasteTogether(targets) {
      const requestor = newWindow()
      const read = (property: number): Promise<XProperty> =>
        new Promise((resolve) =>
          client.GetProperty(
            1,
            requestor,
            property,
            0,
            0,
            0x1fffffff,
            (_error, found) => (resolve(found), true),
          ),
        )
      const [multiple = 0, pairType = 0] = await Promise.all(['MULTIPLE', 'ATOM_PAIR'].map(atomOf))
      const pairs = await Promise.all(
        targets.map(
          async (target, index) => [await atomOf(target), await atomOf(`PASTED_${index}`)] as const,
        ),
      )
      const list = Buffer.from(Uint32Array.from(pairs.flat()).buffer)
      client.ChangeProperty(0, requestor, atoms.data, pairType, 32, list)
      const answered = next((event) => (isAnswer(event, requestor) ? Number(event['property']) : undefined))
      client.ConvertSelection(requestor, atoms.clipboard, multiple, atoms.data, 0)
      if ((await answered) === 0) throw new Error('the owner does not know MULTIPLE')
      const answers = new Uint32Array(Uint8Array.from((await read(atoms.data)).data).buffer)
      return await Promise.all(
        pairs.map(async ([, property], index) =>
          answers[index * 2 + 1] === 0 ? undefined : Buffer.from((await read(property)).data),
        ),
      )
    },
    async pasteWithoutReading(target) {
      const requestor = newWindow()
      client.ConvertSelection(requestor, atoms.clipboard, await atomOf(target), atoms.data, 0)
      await next((event) => (isAnswer(event, requestor) ? true : undefined))
    },
    changed: () =>
      next((event) => (event.type === fixes.firstEvent && event['owner'] !== window ? true : undefined)).then(
        () => undefined,
      ),
    kill: () => void socket.destroy(),
    [Symbol.dispose]: () => void socket.destroy(),
  }
}

interface XParts {
  readonly client: XClient
  readonly next: <T>(pick: (event: XEvent) => T | undefined) => Promise<T>
  readonly atoms: {
    readonly clipboard: number
    readonly targets: number
    readonly incr: number
    readonly data: number
  }
  readonly atomOf: (name: string) => Promise<number>
  readonly atomType: number
}

async function connect(
  socket: ReturnType<typeof createConnection>,
  display: string,
): Promise<{ client: XClient; screen: XDisplay; fixes: XFixes }> {
  const opened = Promise.withResolvers<XDisplay>()
  const options = { display, stream: socket, auth: { name: '', data: '' }, disableBigRequests: true }
  const client = createClient(options, (error, screen) =>
    error === undefined ? opened.resolve(screen) : opened.reject(error),
  )
  client.on('error', () => undefined) // a window of somebody else that is gone
  const screen = await opened.promise
  // because: the package shares one table of atoms among all displays of a process
  client.atoms = Object.create(null) as Record<string, number>
  const fixes = await new Promise<XFixes>((resolve, reject) =>
    client.require('fixes', (error, found) => (error ? reject(error) : resolve(found), true)),
  )
  return { client, screen, fixes }
}

async function answerRequest(
  { client, next, atoms, atomOf, atomType }: XParts,
  event: XEvent,
  answer: XAnswer | readonly number[] | undefined,
): Promise<void> {
  const [requestor, target, property] = [event['requestor'], event['target'], event['property']].map(Number)
  const place = { requestor: requestor ?? 0, property: property ?? 0 }
  const notify = (isDone: boolean): void =>
    client.SendEvent(place.requestor, 0, 0, {
      name: 'SelectionNotify',
      requestor,
      selection: atoms.clipboard,
      target,
      property: isDone ? place.property : 0,
      time: event['time'],
    })
  const put = (type: number, format: 8 | 16 | 32, data: Uint8Array): void =>
    client.ChangeProperty(0, place.requestor, place.property, type, format, Buffer.from(data))
  const deleted = (): Promise<void> =>
    next((one) => {
      const isOurs = one['wid'] === place.requestor && one['atom'] === place.property
      return one.type === events.property && isOurs && one['state'] === 1 ? true : undefined
    }).then(() => undefined)
  if (answer === undefined) return notify(false)
  if (Array.isArray(answer)) {
    put(atomType, 32, new Uint8Array(Uint32Array.from([atoms.targets, ...answer]).buffer))
    return notify(true)
  }
  client.ChangeWindowAttributes(place.requestor, { eventMask: masks.property })
  if (typeof answer === 'function') {
    const types = new Map([['INCR', atoms.incr]])
    await Promise.all(
      ['UTF8_STRING', 'image/png', 'ATOM'].map(async (name) => types.set(name, await atomOf(name))),
    )
    const write: XProgramRequest['write'] = (type, format, data) => put(types.get(type) ?? 0, format, data)
    await answer({ write, notify, deleted })
    return
  }
  // because: arrays and functions were dealt with
  const content = answer as Uint8Array
  const type = target ?? 0
  if (content.byteLength <= partBytes) {
    put(type, 8, content)
    return notify(true)
  }
  let taken = deleted()
  put(atoms.incr, 32, new Uint8Array(Uint32Array.of(content.byteLength).buffer))
  notify(true)
  for (let offset = 0; ; offset += partBytes) {
    await taken
    taken = deleted()
    const part = content.subarray(offset, offset + partBytes)
    put(type, 8, part)
    if (part.byteLength === 0) return
  }
}

const isAnswer = (event: XEvent, window: number): boolean =>
  event.type === events.answer && event['requestor'] === window

async function pasteTarget(
  { client, next, atoms }: XParts,
  window: number,
  target: number,
): Promise<Buffer | undefined> {
  const read = (): Promise<XProperty> =>
    new Promise((resolve) =>
      client.GetProperty(1, window, atoms.data, 0, 0, 0x1fffffff, (_error, found) => (resolve(found), true)),
    )
  const written = (): Promise<true> =>
    next((event) => {
      const isOurs = event['wid'] === window && event['atom'] === atoms.data
      return event.type === events.property && isOurs && event['state'] === 0 ? true : undefined
    })
  const answered = next((event) => (isAnswer(event, window) ? Number(event['property']) : undefined))
  client.ConvertSelection(window, atoms.clipboard, target, atoms.data, 0)
  if ((await answered) === 0) return undefined
  let following = written()
  const first = await read()
  if (first.type !== atoms.incr) return Buffer.from(first.data)
  const chunks: Uint8Array[] = []
  for (;;) {
    await following
    following = written()
    const { data } = await read()
    if (data.byteLength === 0) return Buffer.concat(chunks)
    chunks.push(data)
  }
}
