# FoolCaffe: one file target an artefact; what is done is not done again. `make help` lists the targets.

# What a user gives is text, on the command line as in the environment: $ and `, quotes and ; in it mean nothing to make,
# and no recipe holds it. Programs find it in their environment.
GIVEN := CLASS FOOL STUDY MODEL GPU IMAGENET TINY_IMAGENET SKIP_BAD WEIGHT_DECAY BASE_LR STD MAX_ITER SEED TORCH TORCH_INDEX PINS
$(foreach v,$(GIVEN) DATASET ENGINE,$(if $(and $(value $v),$(filter command environment,$(origin $v))),$(eval override $v := $$(value $v))))
$(foreach v,$(GIVEN),$(if $(value $v),$(eval export $v)))
# Of the environment's NAME, IMAGES and OTHERS nothing is taken: there they are somebody else's.
$(foreach v,NAME IMAGES OTHERS,$(if $(filter command,$(origin $v)),$(eval override $v := $$(value $v))))

DATASET ?= demo
MODEL ?= linear_softmax
NAME = $(notdir $(MODEL))
GPU ?= auto
export MODEL GPU

# These become names of folders, in recipes too.
SPECIAL := ' " ` \ ; & | < > ( ) { } [ ] * ? ~ ! % : = ^ $$ \# ,
unfit = $(strip $(filter-out 1,$(words $1)) $(foreach c,$(SPECIAL) /,$(findstring $c,$1)) $(filter . ..,$1))
ifneq ($(call unfit,$(NAME)),)
$(error NAME=$(NAME) is no name of a folder below build/$(DATASET): one word without slashes and signs)
endif
ifneq ($(call unfit,$(DATASET)),)
$(error DATASET=$(DATASET) is no name of a folder below build: one word without slashes and signs)
endif
# Any other name is a dataset of the user's own images.
OWN := $(filter-out demo tiny-imagenet imagenet,$(DATASET))

B := build/$(DATASET)
M := $(B)/$(NAME)

# The engine: the one that is asked for; the one that built the dataset or trained on it last; the one that is installed;
# real Caffe where apt can fetch it or the system has it, else torchcaffe.
ifndef ENGINE
ifneq ($(wildcard $(B)/engine),)
ENGINE := $(shell cat $(B)/engine)
WHY := it built $(B)
else ifneq ($(wildcard .caffe/SOURCE),)
ENGINE := caffe
else ifneq ($(wildcard .venv/READY),)
ENGINE := torch
WHY := .venv is here, and .caffe is not
else
ENGINE := $(if $(shell command -v apt-get)$(shell command -v caffe),caffe,torch)
endif
endif
ifneq ($(filter-out caffe torch,$(ENGINE))$(filter-out 1,$(words $(ENGINE))),)
$(error ENGINE=$(ENGINE) is no engine: caffe or torch)
endif
ifneq ($(and $(WHY),$(filter demo lmdb train fool templates evaluate toy explorer study doctor,$(MAKECMDGOALS))),)
$(info ENGINE=$(ENGINE), for $(WHY); ENGINE=$(filter-out $(ENGINE),caffe torch) takes the other)
endif

ifeq ($(ENGINE),caffe)
ENVIRONMENT := .caffe/SOURCE
PYTHON := .caffe/bin/python
else
ENVIRONMENT := .venv/READY
PYTHON := .venv/bin/python
endif
export ENGINE
export FOOLCAFFE_ENGINE := $(ENGINE)
export PYTHONPATH := $(CURDIR)/python
RUN := $(PYTHON) -m
# $(RUN_WITH) VARIABLE MODULE ARGUMENTS...: with the options that the user wrote in the variable
RUN_WITH := @$(PYTHON) tools/run_with.py

# Where the images are, and the folder that they are put into first, if they are not the user's
define newline


endef
is_folder = $(shell test -d "$$(printf %b '$(subst $(newline),\n,$(subst ','\'',$(subst \,\\,$1)))')" && echo 1)
ifeq ($(DATASET),demo)
FETCHED := data/demo
else ifeq ($(DATASET),tiny-imagenet)
FETCHED := $(if $(call is_folder,$(TINY_IMAGENET)/train),,data/tiny-imagenet)
IMAGES := $(TINY_IMAGENET)
else ifndef OWN
IMAGES := $(IMAGENET)
else ifeq ($(filter command override,$(origin IMAGES)),)
IMAGES :=
endif
ifdef FETCHED
IMAGES := $(FETCHED)
endif
export IMAGES

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: .caffe .venv help demo test test-quick test-pythons lint pins wheels lmdb train fool templates evaluate toy explorer study doctor bench-lmdb bench-train bench-attacks clean distclean

help:  ## this list
	@echo 'usage: make TARGET [DATASET=demo|tiny-imagenet|imagenet|…] [ENGINE=caffe|torch] [MODEL=…] [GPU=auto|cpu|0,1]'
	@echo
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  TINY_IMAGENET=  the zip or its folder (else it is downloaded); IMAGENET= a folder with train/ and val/'
	@echo '  IMAGES=         with any other DATASET=: a folder of your own images, a folder for each class; for example'
	@echo '                  make lmdb train DATASET=mine IMAGES=~/photographs'
	@echo '  ENGINE=         without it the engine that built build/DATASET, else the one that is installed, else real Caffe'
	@echo '  MODEL=          a name: $(notdir $(patsubst %/solver.prototxt,%,$(wildcard models/*/solver.prototxt)));'
	@echo '                  or the path of a folder with a solver.prototxt and its nets, as models/ has them'
	@echo '  NAME=           the trained folder under build/DATASET, if not the last word of MODEL, with any of'
	@echo '                  WEIGHT_DECAY= BASE_LR= STD= MAX_ITER= SEED= to differ from its prototxts'
	@echo '  CLASS=          for fool: an id, a wnid or a name'
	@echo '  FOOL=           for fool: further options of python -m foolcaffe.fool, for example'
	@echo '                  FOOL="--flip --image '"'my photographs/fox 1.jpg'"'"; quotes are as in a shell, $$ and ` mean nothing'
	@echo '  STUDY=          for study: parts, and further options of python -m foolcaffe.study, written in the same way'
	@echo '  SKIP_BAD=1      for lmdb: leave unreadable images out, and name them in build/DATASET/*_lmdb/bad_images.txt'
	@echo '  TORCH=cpu       for .venv: PyTorch without CUDA (tools/make_venv.sh --help, docs/install.md)'

demo:  ## everything, on photographs that come with scikit-image: LMDB, training, fooling images
	@$(MAKE) --no-print-directory DATASET=demo MODEL=linear_softmax NAME=linear_softmax lmdb train templates
	$(RUN) foolcaffe.evaluate --model demo/linear_softmax
	$(RUN) foolcaffe.fool --model demo/linear_softmax --class rocket --class coffee --image data/demo/photos/astronaut.JPEG
	$(RUN) foolcaffe.fool --model demo/linear_softmax --class rocket --class coffee --start noise
	$(RUN) foolcaffe.toy
	@$(MAKE) --no-print-directory DATASET=demo MODEL=linear_softmax NAME=linear_softmax OTHERS= explorer
	@printf '\nDone. The pictures:\n'
	@printf '  %s\n' build/demo/fool/*-figure.png build/demo/linear_softmax/templates.png build/demo/linear_softmax/loss.png build/toy.png
	@printf 'Next: $(RUN) foolcaffe.fool --class 1\n'
	@printf 'To move it by hand, open this in a browser (`make explorer` adds seven models to it): build/demo/explorer.html\n'

lmdb: $(B)/validated  ## LMDBs and mean of DATASET, compared with its lists
train: $(M)/trained.json  ## MODEL trained on DATASET; Ctrl-C leaves a snapshot, the same command goes on
templates: $(M)/templates.png  ## the weight rows of MODEL as images

fool: $(M)/trained.json  ## a fooling image of class CLASS
	$(if $(CLASS),,$(error CLASS= is missing: make fool CLASS=1))
	$(RUN_WITH) FOOL foolcaffe.fool --model $(M) --class "$$CLASS"

evaluate: $(M)/trained.json  ## top-1 and top-5 of MODEL on the validation LMDB
	$(RUN) foolcaffe.evaluate --model $(M)

toy: | $(ENVIRONMENT)  ## the post's ten-dimensional example
	$(RUN) foolcaffe.toy

explorer: $(B)/explorer.html  ## one page to move a picture along a template by hand, with models of several weight decays

study: $(B)/validated  ## every claim of the post and the note, measured: build/DATASET/study/report.html; it goes on where it was
	$(RUN_WITH) STUDY foolcaffe.study --dataset $(B) --gpu "$$GPU"

doctor:  ## engines, versions, GPU and whether a product on it is right, room for DATASET; what to do about what is missing
	$(or $(wildcard $(PYTHON)),python3) -m foolcaffe.doctor --dataset $(DATASET) --gpu "$$GPU" $${IMAGES:+--images "$$IMAGES"}

# one worker more than cores, for tests that wait; a file's tests stay together, for they share what they built
PYTEST := -q -p no:cacheprovider -n $(shell expr $$(nproc) + 1) --dist loadfile --no-loadscope-reorder

test: .venv/READY .caffe/TESTS  ## the whole test suite, in both Python environments
	FOOLCAFFE_ENGINE= .venv/bin/python -m pytest $(PYTEST)
	FOOLCAFFE_ENGINE=caffe .caffe/bin/python -m pytest $(PYTEST)

test-quick: .venv/READY .caffe/TESTS  ## the suite without the slow tests
	FOOLCAFFE_ENGINE= .venv/bin/python -m pytest $(PYTEST) -m 'not slow'
	FOOLCAFFE_ENGINE=caffe .caffe/bin/python -m pytest $(PYTEST) -m 'not slow'

test-pythons: .venv/READY  ## the quick unit tests under every other Python from 3.9 to 3.13 that is here
	tools/test_pythons.sh

lint: .venv/READY  ## ruff, mypy --strict, shellcheck
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/shellcheck -x -P tools tools/*.sh .ci/run

pins: .venv/READY  ## requirements/pins/ renewed: the versions that are installed, with their hashes
	tools/pins.sh --upgrade

wheels: .venv/READY  ## dist/: a wheel of each of the three distributions
	@for name in caffefiles torchcaffe foolcaffe; do \
		.venv/bin/python -m pip wheel --disable-pip-version-check --quiet --no-deps --wheel-dir dist packaging/$$name || exit 1; \
	done
	@ls dist

bench-lmdb: .venv/READY .caffe/SOURCE  ## images/s beside real convert_imageset
	.venv/bin/python benchmarks/bench_lmdb.py

bench-train: .venv/READY .caffe/SOURCE  ## iterations/s of torchcaffe beside real Caffe
	.venv/bin/python benchmarks/bench_train.py

bench-attacks: .venv/READY .caffe/SOURCE  ## attacks beside foolbox, torchattacks and ART
	.caffe/bin/python benchmarks/bench_attacks.py

clean:  ## remove what was built; downloads and environments stay
	rm -rf build data/demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . \( -name .caffe -o -name .venv -o -name .git \) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## remove all that is not in git: downloads and environments too
	rm -rf .caffe .caffe.partial .venv python/*.egg-info
	find data -mindepth 1 ! -name README.md -delete

# The environments

.caffe: .caffe/SOURCE

.venv: .venv/READY

.caffe/SOURCE:
	tools/install_caffe.sh

.caffe/TESTS: | .caffe/SOURCE
	tools/install_caffe.sh --packages "$$(sed 's/[#;].*//' requirements/test.txt requirements/hdf5.txt)"
	touch $@

.venv/READY: $(wildcard packaging/*/pyproject.toml requirements/*.txt requirements/pins/*.txt)
	tools/make_venv.sh

# Images, lists, LMDBs, mean

data/demo: | $(ENVIRONMENT)
	$(RUN) foolcaffe.datasets demo --out $@

data/tiny-imagenet: | $(ENVIRONMENT)
	$(RUN) foolcaffe.datasets tiny-imagenet --out $@ $${TINY_IMAGENET:+--zip "$$TINY_IMAGENET"}

REMEMBER = mkdir -p $(B); echo $(ENGINE) > $(B)/engine

ifdef OWN
# One program does it all, and notices which images have changed.
$(B)/validated: FORCE | $(ENVIRONMENT)
	$(if $(or $(IMAGES),$(wildcard $@)),,$(error IMAGES= is missing: make lmdb DATASET=$(DATASET) IMAGES=folder, with a folder for each class))
	@mkdir -p $(B)
	$(if $(IMAGES),$(RUN) foolcaffe.photos --data-only --dataset $(DATASET) $(if $(SKIP_BAD),--skip-bad) "$$IMAGES")
	@$(REMEMBER)

$(M)/solver.prototxt $(M)/trained.json: $(B)/validated
else
# synset_words.txt is the last of the three that is written
$(B)/synset_words.txt: | $(ENVIRONMENT) $(FETCHED)
	$(if $(IMAGES),,$(error IMAGENET= is missing: the folder that holds train/<wnid>/ and val/))
	tools/make_lists.sh "$$IMAGES" $(B)
	@$(REMEMBER)

$(B)/%_lmdb/data.mdb: | $(B)/synset_words.txt
	tools/create_lmdb.sh $(if $(SKIP_BAD),--skip-bad) "$$IMAGES" $(B)/$*.txt $(B)/$*_lmdb

$(B)/mean.binaryproto: | $(B)/train_lmdb/data.mdb
	tools/make_mean.sh $(B)/train_lmdb $@

$(B)/validated: $(B)/mean.binaryproto $(B)/train_lmdb/data.mdb $(B)/val_lmdb/data.mdb
	tools/validate_lmdb.sh $(B)
	touch $@
endif

# The model

OVERRIDES := WEIGHT_DECAY BASE_LR STD MAX_ITER SEED

# With values asked for, what is there is compared: a model of other values must not pass for it.
$(M)/solver.prototxt: $(if $(strip $(foreach o,$(OVERRIDES),$($o))),FORCE) | $(B)/validated
	$(RUN) foolcaffe.render --model "$$MODEL" --dataset $(B) --out $(M) --gpu "$$GPU" \
		$${WEIGHT_DECAY:+--weight-decay "$$WEIGHT_DECAY"} $${BASE_LR:+--base-lr "$$BASE_LR"} $${STD:+--std "$$STD"} \
		$${MAX_ITER:+--max-iter "$$MAX_ITER"} $${SEED:+--seed "$$SEED"}

FORCE:

$(M)/trained.json: | $(M)/solver.prototxt
	tools/train.sh --gpu "$$GPU" $(M)
	@$(REMEMBER)

$(M)/templates.png: $(M)/trained.json
	$(RUN) foolcaffe.templates --model $(M)

# The explorer: NAME, and models of other weight decays; the demo's also from initial weights that are next to zero

OTHERS = $(filter-out $(NAME),decay0.0005 decay1000 decay10000 $(if $(filter demo,$(DATASET)),$(addsuffix -zero,$(addprefix decay,0.0005 100 1000 10000))))
ifneq ($(strip $(foreach o,$(OTHERS),$(call unfit,$o))),)
$(error OTHERS=$(OTHERS) are no names of folders below $(B): words without slashes and signs)
endif

$(B)/decay%/trained.json: | $(B)/validated
	$(MAKE) --no-print-directory NAME=decay$* WEIGHT_DECAY=$(firstword $(subst -, ,$*)) STD=$(if $(findstring -zero,$*),1e-9) train

$(B)/explorer.html: $(M)/trained.json $(OTHERS:%=$(B)/%/trained.json) $(wildcard python/foolcaffe/explore/*.py python/foolcaffe/explore/web/*)
	$(RUN) foolcaffe.explore $(patsubst %/trained.json,--model %,$(filter %/trained.json,$^)) --out $@
