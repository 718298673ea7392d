# The commands of a fresh machine, over Meson and scripts/. Everything else is ordinary Meson:
#	meson setup build && ninja -C build && meson test -C build

BUILD ?= build

.PHONY: all demo demo-vm check check-long install clean

all:
	@scripts/build.sh $(BUILD)

# Has a Vulkan program draw through neep run (demo-vulkan.png), then boots a Debian guest with our device and shows what it
# drew (demo.png).
demo:
	@scripts/deps.sh build vm vulkan
	@scripts/build.sh $(BUILD)
	@scripts/demo-vulkan.sh --build $(BUILD)
	@scripts/demo.sh --build $(BUILD)

# Boots a Debian guest by neep vm, and shows its Vulkan window on a weston of this machine (demo-vm.png).
demo-vm:
	@scripts/deps.sh build vm
	@scripts/build.sh $(BUILD)
	@scripts/demo-vm.sh --build $(BUILD)

# Everything that can be tested here: style, unit and device tests (plain and under the sanitizers), fuzzers, guests.
check:
	@scripts/check.sh

# The same with the long runs.
check-long:
	@scripts/check.sh --long

install: all
	@meson install -C $(BUILD)

clean:
	rm -rf build build-asan build-fuzz demo.png demo-vulkan.png demo-vm.png
