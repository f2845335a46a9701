"""The checks of scripts/ on small made trees: each breach is found and named, and a clean tree passes."""
import pathlib
import subprocess
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
HEADER = "// What it is for.\n#pragma once\n"


class Checks(unittest.TestCase):
    def run_on(self, script, files):
        with tempfile.TemporaryDirectory() as root:
            for name, text in files.items():
                path = pathlib.Path(root) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            result = subprocess.run([SCRIPTS / script, root], capture_output=True, text=True)
        return result.returncode, result.stdout + result.stderr

    def assert_clean(self, script, files):
        self.assertEqual(self.run_on(script, files), (0, ""))

    def assert_breach(self, script, files, *parts):
        code, output = self.run_on(script, files)
        self.assertEqual(code, 1, output)
        for part in parts:
            self.assertIn(part, output)

    def test_a_layer_may_use_itself_and_earlier_ones(self):
        self.assert_clean("check_layers", {
            "src/core/error.h": HEADER, "src/nn/a.h": HEADER + '#include "core/error.h"\n',
            "src/nn/a.cpp": '#include "nn/a.h"\n#include <vector>\n'})

    def test_a_layer_may_not_use_a_later_one(self):
        self.assert_breach("check_layers", {
            "src/nn/a.cpp": '#include <vector>\n#include "adapters/m.h"\n', "src/adapters/m.h": HEADER},
            "src/nn/a.cpp:2", "nn", "adapters")

    def test_a_folder_that_is_no_layer_is_named(self):
        self.assert_breach("check_layers", {"src/utils/a.cpp": ""}, "src/utils")

    def test_an_include_of_nothing_is_named(self):
        self.assert_breach("check_layers", {"src/nn/a.cpp": '#include "core/eror.h"\n'}, "core/eror.h")

    def test_a_tree_without_sources_is_not_passed_over(self):
        self.assert_breach("check_layers", {"src/core/README.md": ""}, "nothing was checked")

    def test_a_header_needs_its_comment_and_guard(self):
        self.assert_breach("check_sources", {"src/core/a.h": "int a;\n"}, "comment", "#pragma once")

    def test_all_of_torch_is_included_nowhere(self):
        for name in ("torch/torch.h", "ATen/ATen.h"):
            self.assert_breach("check_sources", {"tests/nn/a_test.cpp": f"#include <{name}>\n"}, name)

    def test_fmt_beside_torch_is_found_through_headers(self):
        files = {"src/core/log.h": HEADER + "#include <spdlog/spdlog.h>\n",
                 "src/nn/t.h": HEADER + "#include <ATen/core/Tensor.h>\n",
                 "src/nn/a.cpp": '#include "nn/t.h"\n#include "core/log.h"\n'}
        self.assert_breach("check_sources", files, "src/nn/a.cpp", "ATen/core/Tensor.h", "spdlog/spdlog.h")
        files["src/nn/a.cpp"] = '#include "nn/t.h"\n'
        self.assert_clean("check_sources", files)

    def test_a_method_is_named_only_where_methods_are_made(self):
        code = "bool f(Method m) { return m == Method::kLora; }\n"
        self.assert_breach("check_sources", {"src/train/plan.cpp": code}, "Method::kLora", "config/method.h")
        self.assert_clean("check_sources", {"src/adapters/mixers.cpp": code, "tests/train/plan_test.cpp": code})

    def test_files_are_bounded(self):
        self.assert_breach("check_sources", {"src/core/a.cpp": "\n" * 801}, "801 lines")
        code, output = self.run_on("check_sources", {"src/core/a.cpp": "\n" * 401})
        self.assertEqual(code, 0)
        self.assertIn("401 lines", output)


if __name__ == "__main__":
    unittest.main()
