// The jsii kernel as one process that loads an assembly's types and code when they are asked for.
//
//   node --preserve-symlinks kernel.cjs <program.js of the jsii runtime>
//
// jsii starts its kernel behind a second process that only passes bytes on; here the kernel's own
// program speaks on standard input and output. Assemblies that stand in a folder beside an
// index.json (written by cache.py) are loaded submodule by submodule. All others, and everything
// else, are jsii's own.
"use strict";

var OLDEST_NODE = 18;

if (parseInt(process.versions.node, 10) < OLDEST_NODE) {
  // Plain old syntax up to here: such a Node must be able to say so.
  process.stdout.write(JSON.stringify({ hello: "Node " + process.version }) + "\n");
  process.exit(0);
}

const fs = require("fs");
const Module = require("module");
const path = require("path");
const workers = require("worker_threads");
const zlib = require("zlib");

// What dependencies do with Node's old functions is nothing that a user could mend.
process.noDeprecation = true;
// Ctrl-C reaches every process of the terminal. Python decides; the end of its input ends this one.
process.on("SIGINT", () => {});

speakOnStandardStreams();
const packs = new Map(); // name of the assembly -> its pack
loadOnDemand();
require(process.argv[2]);

/** Lets the program's channel, file descriptor 3, be standard input and output, as Python expects.
 *  What code prints becomes a message on standard error, as jsii's outer process does it. */
function speakOnStandardStreams() {
  const { readSync, writeSync } = fs;
  const print = (stream) => (chunk, encoding, done) => {
    const bytes = Buffer.from(chunk, typeof encoding === "string" ? encoding : "utf8");
    writeSync(2, JSON.stringify({ [stream]: bytes.toString("base64") }) + "\n");
    const callback = typeof encoding === "function" ? encoding : done;
    if (callback) callback();
    return true;
  };
  process.stdout.write = print("stdout");
  process.stderr.write = print("stderr");
  fs.readSync = (fd, ...rest) => readSync(fd === 3 ? 0 : fd, ...rest);
  fs.writeSync = (fd, ...rest) => writeSync(fd === 3 ? 1 : fd, ...rest);
}

/** Meets the three places where the kernel would read an assembly whole. */
function loadOnDemand() {
  const parse = JSON.parse;
  JSON.parse = (text, reviver) => {
    const value = parse(text, reviver);
    if (value === null || typeof value !== "object") return value;
    if (value.api === "load" && typeof value.tarball === "string") {
      const folder = path.dirname(value.tarball);
      if (packs.has(value.name)) packs.get(value.name).again(folder, value.submodules || []);
      else if (fs.existsSync(path.join(folder, "index.json"))) packs.set(value.name, new Pack(folder));
    } else if (packs.has(value.name) && typeof value.jsiiVersion === "string") {
      value.types = packs.get(value.name).types;
    } else if (value.assemblyMetadata && packs.has(value.assemblyMetadata.name)) {
      return null; // jsii's index of an assembly without types: as if there were none
    }
    return value;
  };
  // After a load, jsii indexes the types in a thread. Here is nothing to index.
  workers.Worker = class extends workers.Worker {
    constructor(file, options) {
      const folder = (options && options.workerData && options.workerData.packageDir) || "";
      for (const name of packs.keys()) {
        if (folder.endsWith(path.join("node_modules", name))) throw new Error("types on demand");
      }
      // In the Python package, the file's folder is part of its name.
      const embedded = path.join(path.dirname(file), `lib__${path.basename(file)}`);
      super(fs.existsSync(file) ? file : embedded, options);
    }
  };
  process[Symbol.for("constructs_lib.bindings")] = (name, index) => packs.get(name).code(index);
}

/** The submodules of one assembly, each read from the folder when first needed. */
class Pack {
  constructor(folder) {
    this.folder = folder;
    this.index = JSON.parse(fs.readFileSync(path.join(folder, "index.json"), "utf8"));
    this.submodules = new Map();
    this.exports = {};
    this.types = new Proxy({}, { get: (_, fqn) => this.type(fqn) });
  }

  /** A load that is repeated names where the files stand now, and what will be needed soon. */
  again(folder, submodules) {
    this.folder = folder;
    for (const name of submodules) void this.exports[name];
  }

  /** `{types: {fqn: type}, files: {path: source}}` of a submodule, or undefined if there is none. */
  submodule(name) {
    if (!this.submodules.has(name)) {
      const place = Object.hasOwn(this.index.submodules, name) && this.index.submodules[name];
      this.submodules.set(name, place ? this.read(place) : undefined);
    }
    return this.submodules.get(name);
  }

  read({ offset, length }) {
    const bytes = Buffer.alloc(length);
    const file = fs.openSync(path.join(this.folder, "submodules.bin"), "r");
    try {
      fs.readSync(file, bytes, 0, length, offset);
    } finally {
      fs.closeSync(file);
    }
    return JSON.parse(zlib.gunzipSync(bytes).toString("utf8")); // gzip checks the bytes
  }

  /** A type by its full name, "<assembly>.<submodule>.<type>". */
  type(fqn) {
    const submodule = typeof fqn === "string" ? this.submodule(fqn.split(".")[1]) : undefined;
    return submodule && Object.hasOwn(submodule.types, fqn) ? submodule.types[fqn] : undefined;
  }

  /** What the assembly exports: its submodules by name. `index` is the module of lib/index.js. */
  code(index) {
    const lib = path.dirname(index.filename);
    this.exports = new Proxy({}, {
      get: (exported, name) => {
        if (!(name in exported)) {
          const submodule = typeof name === "string" ? this.submodule(name) : undefined;
          exported[name] = submodule && require_(submodule.main, submodule.files, lib, index);
        }
        return exported[name];
      },
    });
    return this.exports;
  }
}

/** Runs a file of `files` (by path below `lib`) as require() would have from the disk. */
function require_(name, files, lib, index, loaded = new Map()) {
  if (loaded.has(name)) return loaded.get(name).exports;
  const filename = path.join(lib, name);
  const module = new Module(filename, index);
  loaded.set(name, module);
  module.filename = filename;
  module.paths = index.paths;
  module.require = (request) => {
    if (!request.startsWith(".")) return index.require(request);
    const target = path.posix.join(path.posix.dirname(name), request);
    const found = [target, `${target}.js`, `${target}/index.js`].find((file) => file in files);
    if (!found) throw new Error(`Cannot find module '${request}' of ${filename}`);
    return require_(found, files, lib, index, loaded);
  };
  module._compile(files[name], filename);
  module.loaded = true;
  return module.exports;
}
