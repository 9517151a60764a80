# FoolCaffe: one file target an artefact; what is done is not done again. `make help` lists the targets.

DATASET ?= demo
MODEL ?= linear_softmax
# Of the environment's NAME nothing is taken: there it is often the machine's.
NAME = $(notdir $(MODEL))
GPU ?= auto
# Real Caffe where apt can fetch it or the system has it, else torchcaffe.
ENGINE ?= $(if $(or $(wildcard .caffe/SOURCE),$(shell command -v apt-get),$(shell command -v caffe)),caffe,torch)

ifneq ($(filter-out caffe torch,$(ENGINE)),)
$(error ENGINE=$(ENGINE) is no engine: caffe or torch)
endif
ifeq ($(filter $(DATASET),demo tiny-imagenet imagenet),)
$(error DATASET=$(DATASET) is no dataset: demo, tiny-imagenet or imagenet)
endif

ifneq ($(words $(NAME))$(findstring /,$(NAME)),1)
$(error NAME=$(NAME) is no name of a folder below build/$(DATASET): one word without slashes)
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

# Where the images are
ifeq ($(DATASET),demo)
IMAGES := data/demo
else ifeq ($(DATASET),tiny-imagenet)
IMAGES := $(if $(wildcard $(TINY_IMAGENET)/train),$(TINY_IMAGENET),data/tiny-imagenet)
else
IMAGES := $(IMAGENET)
endif

B := build/$(DATASET)
M := $(B)/$(NAME)

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help demo test test-quick lint wheels lmdb train fool templates evaluate toy explorer study doctor bench-lmdb bench-train bench-attacks clean distclean

help:  ## this list
	@echo 'usage: make TARGET [DATASET=demo|tiny-imagenet|imagenet] [ENGINE=caffe|torch] [MODEL=…] [GPU=auto|cpu|0,1]'
	@echo
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  TINY_IMAGENET=  the zip or its folder (else it is downloaded); IMAGENET= a folder with train/ and val/'
	@echo '  MODEL=          one of: $(notdir $(patsubst %/solver.prototxt,%,$(wildcard models/*/solver.prototxt)))'
	@echo '  NAME=           the trained folder under build/DATASET, if not the name of the model, with any of'
	@echo '                  WEIGHT_DECAY= BASE_LR= STD= MAX_ITER= SEED= to differ from its prototxts'
	@echo '  CLASS=          for fool: an id, a wnid or a name; FOOL= further options of python -m foolcaffe.fool'
	@echo '  STUDY=          for study: parts, and further options of python -m foolcaffe.study'
	@echo '  SKIP_BAD=1      for lmdb: leave unreadable images out, and name them in build/DATASET/*_lmdb/bad_images.txt'

demo:  ## everything, on photographs that come with scikit-image: LMDB, training, fooling images
	@$(MAKE) --no-print-directory DATASET=demo MODEL=linear_softmax NAME=linear_softmax lmdb train templates
	$(RUN) foolcaffe.evaluate --model demo/linear_softmax
	$(RUN) foolcaffe.fool --model demo/linear_softmax --class rocket --class coffee --image data/demo/photos/astronaut.JPEG
	$(RUN) foolcaffe.fool --model demo/linear_softmax --class rocket --class coffee --start noise
	$(RUN) foolcaffe.toy
	@$(MAKE) --no-print-directory DATASET=demo MODEL=linear_softmax NAME=linear_softmax OTHERS= explorer
	@printf '\nDone. The pictures:\n'
	@printf '  %s\n' build/demo/fool/*-figure.png build/demo/linear_softmax/templates.png build/demo/linear_softmax/loss.png build/toy.png
	@printf 'Next: PATH=$$PWD/.caffe/bin:$$PATH python -m foolcaffe.fool --class 1\n'
	@printf 'To move it by hand, open this in a browser (`make explorer` adds seven models to it): build/demo/explorer.html\n'

lmdb: $(B)/validated  ## LMDBs and mean of DATASET, compared with its lists
train: $(M)/trained.json  ## MODEL trained on DATASET; Ctrl-C leaves a snapshot, the same command goes on
templates: $(M)/templates.png  ## the weight rows of MODEL as images

fool: $(M)/trained.json  ## a fooling image of class CLASS
	$(RUN) foolcaffe.fool --model $(M) --class "$(or $(CLASS),$(error CLASS= is missing: make fool CLASS=1))" $(FOOL)

evaluate: $(M)/trained.json  ## top-1 and top-5 of MODEL on the validation LMDB
	$(RUN) foolcaffe.evaluate --model $(M)

toy: | $(ENVIRONMENT)  ## the post's ten-dimensional example
	$(RUN) foolcaffe.toy

explorer: $(B)/explorer.html  ## one page to move a picture along a template by hand, with models of several weight decays

study: $(B)/validated  ## every claim of the post and the note, measured: build/DATASET/study/report.html; it goes on where it was
	$(RUN) foolcaffe.study --dataset $(B) --gpu $(GPU) $(STUDY)

doctor:  ## engines, versions, GPU and whether a product on it is right, room for DATASET; what to do about what is missing
	$(or $(wildcard $(PYTHON)),python3) -m foolcaffe.doctor --dataset $(DATASET) --gpu $(GPU) $(if $(IMAGES),--images "$(IMAGES)")

# one worker more than cores, for tests that wait; a file's tests stay together, for they share what they built
PYTEST := -q -p no:cacheprovider -n $(shell expr $$(nproc) + 1) --dist loadfile --no-loadscope-reorder

test: .venv/READY .caffe/TESTS  ## the whole test suite, in both Python environments
	FOOLCAFFE_ENGINE= .venv/bin/python -m pytest $(PYTEST)
	FOOLCAFFE_ENGINE=caffe .caffe/bin/python -m pytest $(PYTEST)

test-quick: .venv/READY .caffe/TESTS  ## the suite without the slow tests
	FOOLCAFFE_ENGINE= .venv/bin/python -m pytest $(PYTEST) -m 'not slow'
	FOOLCAFFE_ENGINE=caffe .caffe/bin/python -m pytest $(PYTEST) -m 'not slow'

lint: .venv/READY  ## ruff, mypy --strict, shellcheck
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/shellcheck -x -P tools tools/*.sh .ci/run

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

.caffe:
	$(MAKE) .caffe/SOURCE

.venv:
	$(MAKE) .venv/READY

.caffe/SOURCE:
	tools/install_caffe.sh

.caffe/TESTS: | .caffe/SOURCE
	tools/install_caffe.sh --packages "$$(cat requirements/test.txt requirements/hdf5.txt)"
	touch $@

.venv/READY: $(wildcard packaging/*/pyproject.toml requirements/*.txt)
	tools/make_venv.sh

# Images, lists, LMDBs, mean

data/demo: | $(ENVIRONMENT)
	$(RUN) foolcaffe.datasets demo --out $@

data/tiny-imagenet: | $(ENVIRONMENT)
	$(RUN) foolcaffe.datasets tiny-imagenet --out $@ $(if $(TINY_IMAGENET),--zip "$(TINY_IMAGENET)")

# synset_words.txt is the last of the three that is written
$(B)/synset_words.txt: | $(ENVIRONMENT) $(filter data/%,$(IMAGES))
	$(if $(IMAGES),,$(error IMAGENET= is missing: the folder that holds train/<wnid>/ and val/))
	tools/make_lists.sh "$(IMAGES)" $(B)

$(B)/%_lmdb/data.mdb: | $(B)/synset_words.txt
	tools/create_lmdb.sh $(if $(SKIP_BAD),--skip-bad) "$(IMAGES)" $(B)/$*.txt $(B)/$*_lmdb

$(B)/mean.binaryproto: | $(B)/train_lmdb/data.mdb
	tools/make_mean.sh $(B)/train_lmdb $@

$(B)/validated: $(B)/mean.binaryproto $(B)/train_lmdb/data.mdb $(B)/val_lmdb/data.mdb
	tools/validate_lmdb.sh $(B)
	touch $@

# The model

OVERRIDES := $(foreach o,WEIGHT_DECAY BASE_LR STD MAX_ITER SEED,$(if $($o),--$(subst _,-,$(shell echo $o | tr A-Z a-z)) $($o)))

# With values asked for, what is there is compared: a model of other values must not pass for it.
$(M)/solver.prototxt: $(if $(strip $(OVERRIDES)),FORCE) | $(B)/validated
	$(RUN) foolcaffe.render --model $(MODEL) --dataset $(B) --out $(M) --gpu $(GPU) $(OVERRIDES)

FORCE:

$(M)/trained.json: | $(M)/solver.prototxt
	tools/train.sh --gpu $(GPU) $(M)

$(M)/templates.png: $(M)/trained.json
	$(RUN) foolcaffe.templates --model $(M)

# The explorer: NAME, and models of other weight decays; the demo's also from initial weights that are next to zero

OTHERS = $(filter-out $(NAME),decay0.0005 decay1000 decay10000 $(if $(filter demo,$(DATASET)),$(addsuffix -zero,$(addprefix decay,0.0005 100 1000 10000))))

$(B)/decay%/trained.json: | $(B)/validated
	$(MAKE) --no-print-directory NAME=decay$* WEIGHT_DECAY=$(firstword $(subst -, ,$*)) STD=$(if $(findstring -zero,$*),1e-9) train

$(B)/explorer.html: $(M)/trained.json $(OTHERS:%=$(B)/%/trained.json) $(wildcard python/foolcaffe/explore/*.py python/foolcaffe/explore/web/*)
	$(RUN) foolcaffe.explore $(patsubst %/trained.json,--model %,$(filter %/trained.json,$^)) --out $@
