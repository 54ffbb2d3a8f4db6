// SPDX-License-Identifier: GPL-2.0
//
// hypercore from one node to the next, and its appends, for the benchmark of AF_FEED.
//
//   node rival.js serve DIRECTORY IP BLOCK BYTES
//   node rival.js fetch DIRECTORY IP PORT KEY BLOCKS
//   node rival.js append DIRECTORY
//
// serve reads so many bytes, appends them as blocks, says "ready PORT KEY BLOCKS DIGEST", and serves
// until its input ends. fetch says "ready"; for every line that it reads it replicates all blocks
// into a new core and says "SECONDS BYTES DIGEST". append says "ready"; for every line "SIZE BATCH
// COUNT" it appends COUNT blocks to a new core, BATCH in a call, and says "SECONDS BYTES DIGEST".

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import net from 'node:net'
import path from 'node:path'
import { createInterface } from 'node:readline'

import Hypercore from 'hypercore'

/** Blocks that one call appends when content is stored. */
const STORED_AT_ONCE = 64

const [mode, directory, ...words] = process.argv.slice(2)
let cores = 0

/** A core in a directory of its own, and what takes both away. */
async function open(key) {
  const place = path.join(directory, String(cores++))
  const core = new Hypercore(place, key)
  await core.ready()
  const drop = async () => {
    await core.close()
    await rm(place, { recursive: true })
  }
  return { core, drop }
}

function seconds(begun) {
  return Number(process.hrtime.bigint() - begun) / 1e9
}

/** Bytes and digest of all blocks, read back one by one. */
async function read(core) {
  const digest = createHash('sha256')
  let bytes = 0
  for (let index = 0; index < core.length; index++) {
    const block = await core.get(index, { wait: false })
    digest.update(block)
    bytes += block.length
  }
  return `${bytes} ${digest.digest('hex')}`
}

async function serve(ip, block, bytes) {
  const { core } = await open()
  let blocks = []
  let rest = []
  let got = 0
  const digest = createHash('sha256')
  for await (const chunk of process.stdin.iterator({ destroyOnReturn: false })) {
    digest.update(chunk)
    rest.push(chunk)
    got += chunk.length
    const have = Buffer.concat(rest)
    let at = 0
    for (; at + block <= have.length; at += block) blocks.push(have.subarray(at, at + block))
    rest = [have.subarray(at)]
    if (blocks.length >= STORED_AT_ONCE || got >= bytes) {
      await core.append(blocks)
      blocks = []
    }
    if (got >= bytes) break
  }
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    const stream = core.replicate(false)
    stream.on('error', () => {})
    stream.pipe(socket).pipe(stream)
  })
  server.listen(0, ip)
  await once(server, 'listening')
  const key = core.key.toString('hex')
  console.log(`ready ${server.address().port} ${key} ${core.length} ${digest.digest('hex')}`)
}

async function fetch(ip, port, key, blocks) {
  const { core, drop } = await open(Buffer.from(key, 'hex'))
  const begun = process.hrtime.bigint()
  const socket = net.connect(port, ip)
  socket.setNoDelay(true)
  const stream = core.replicate(true)
  stream.on('error', () => {})
  stream.pipe(socket).pipe(stream)
  await core.download({ start: 0, end: blocks }).done()
  const took = seconds(begun)
  socket.destroy()
  console.log(`${took} ${await read(core)}`)
  await drop()
}

async function append(size, batch, count) {
  const { core, drop } = await open()
  // No two blocks are alike, as in the benchmark itself.
  const blocks = []
  const digest = createHash('sha256')
  for (let index = 0; index < count; index++) {
    const block = Buffer.alloc(size, 'x')
    block.writeUInt32LE(index, 0)
    blocks.push(block)
    digest.update(block)
  }
  const begun = process.hrtime.bigint()
  for (let at = 0; at < count; at += batch) {
    await core.append(batch === 1 ? blocks[at] : blocks.slice(at, at + batch))
  }
  const took = seconds(begun)
  const found = await read(core)
  if (found !== `${size * count} ${digest.digest('hex')}`) throw new Error('other blocks were stored')
  console.log(`${took} ${found}`)
  await drop()
}

/** Does something for every line, one after the other. */
async function eachLine(work) {
  console.log('ready')
  for await (const line of createInterface({ input: process.stdin })) await work(line)
  process.exit(0)
}

switch (mode) {
  case 'serve': {
    const [ip, block, bytes] = words
    await serve(ip, Number(block), Number(bytes))
    process.stdin.on('end', () => process.exit(0)).resume()
    break
  }
  case 'fetch': {
    const [ip, port, key, blocks] = words
    await eachLine(() => fetch(ip, Number(port), key, Number(blocks)))
    break
  }
  case 'append':
    await eachLine((line) => append(...line.split(' ').map(Number)))
    break
  default:
    throw new Error(`no such mode: ${mode}`)
}
