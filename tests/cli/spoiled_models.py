"""Ways to spoil a copy of a model's directory: each is, or gives, a function of that directory."""
import json
import struct

NORM = "model.layers.1.input_layernorm.weight"


def edit_json(name, change):
    def spoil(model):
        content = json.loads((model / name).read_text())
        change(content)
        (model / name).write_text(json.dumps(content))
    return spoil


def remove(*names):
    def spoil(model):
        for name in names:
            (model / name).unlink()
    return spoil


def write(name, content):
    return lambda model: (model / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def edit_weights(change):
    """`change` is handed the safetensors header as an object and the data, and returns the data."""
    def spoil(model):
        path = model / "model.safetensors"
        content = path.read_bytes()
        size = struct.unpack("<Q", content[:8])[0]
        header, data = json.loads(content[8:8 + size]), content[8 + size:]
        data = change(header, data)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return spoil


def cut_weights(share):
    def spoil(model):
        path = model / "model.safetensors"
        content = path.read_bytes()
        path.write_bytes(content[:int(len(content) * share)])
    return spoil


def lie_about_header(model):
    path = model / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 60) + path.read_bytes()[8:])


def tensor_edit(name, change):
    def edit(header, data):
        change(header[name])
        return data
    return edit_weights(edit)




def overwrite_tensor(name, value):
    def edit(header, data):
        begin, end = header[name]["data_offsets"]
        return data[:begin] + struct.pack("<f", value) * ((end - begin) // 4) + data[end:]
    return edit_weights(edit)
