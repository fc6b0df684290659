# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 Temporary credentials
#
# A program on an instance with a role needs no key: it asks the **metadata service** for one. That is a small web server
# at `http://100.100.100.200`, which only the instance itself can reach. It answers with three values that belong
# together: an access key id, a secret, and a **security token**. They end after six hours, and new ones are ready before
# that.
#
# **The one idea here:** a temporary credential is *fetched*, *used whole*, and *ends*. Each of the three can go wrong,
# and you see each go wrong.
#
# Everything here happens in the **sandbox** on this machine. With `rr.connect("live")` the fetching works only on the
# instance itself, since nobody else can reach its metadata service. All secrets are masked: none gets into this notebook.
# After a restart of the kernel, run the cells from the top.

# %% tags=["setup"]
import ramrole_nb as rr

cloud = rr.connect()
lesson = rr.lesson(cloud, "03", made_for="0.1.0")
lesson.prepare()

# %% [markdown]
# Where this plays (*SANDBOX* or *LIVE*), and how far you are. If this notebook is older than the package,
# a note appears here.

# %% tags=["setup"]
lesson

# %% [markdown]
# ## Fetch it
#
# In the panel: press **Get credential**. The line below counts down to its end. The table says how many requests the
# metadata service got, and who made them.

# %% tags=["panel"]
rr.widgets.CredentialsPanel(cloud, instance="web-1")

# %% [markdown]
# The same, typed. Look at *Expiration*, and at *fetched*: on which instance, and in which mode.

# %% tags=["typed"]
cloud.instances["web-1"].credentials()

# %% [markdown]
# ## The parts: two requests
#
# In **security hardening mode** a program first asks for a *metadata token* with PUT, saying for how many seconds (1 to
# 21600). Then it asks for what it wants with GET, and shows the token. First the role's name, then its credential:

# %%
metadata = cloud.instances["web-1"].metadata
token = metadata.token(ttl=300)
metadata.role_name(token)

# %% [markdown]
# Each request as `curl` would send it. (`$TOKEN` stands for the token, which is a secret too.) The path of the credential
# ends in the role's name; the path with nothing after the last slash lists it.

# %%
metadata.credentials()
[step.curl for step in metadata.steps]

# %% [markdown]
# ## Three methods, one service
#
# Alibaba Cloud's [documentation page on instance RAM roles](https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance)
# names three: the **Credentials tool** (a library by Alibaba Cloud), the metadata service itself,
# and the command line with a profile of the kind `EcsRamRole`. All three ask the same service. In the panel above:
# **Show the three methods, side by side**, then **Run all three methods**. Look at *requests*: how many each made. Where a
# program is not installed here, its row says so.

# %% tags=["typed"]
cloud.instances["web-1"].three_methods()

# %% [markdown]
# ## Two modes
#
# In **normal mode** there is no token: one GET is enough. Convenient, and dangerous: a web server that can be talked into
# fetching a URL for a stranger fetches the credential for him. (Such an attack is called SSRF.) It can hardly be talked
# into a PUT with a header.

# %% tags=["typed"]
cloud.instances["web-1"].credentials(mode="normal")

# %% [markdown]
# ### What goes wrong: hardened only
#
# An instance can be told to refuse normal mode (`HttpTokens=required`). `hardened-1` is one. Programs that do not ask for
# a token find out here.

# %% tags=["typed"]
with rr.show_error():
    cloud.instances["hardened-1"].credentials(mode="normal")

# %% [markdown]
# In the panel, choose the metadata mode *normal* and press **Get credential**: the same card. **Compare the modes** (with
# the three methods) asks in both.

# %% tags=["panel"]
rr.widgets.CredentialsPanel(cloud, instance="hardened-1")

# %% [markdown]
# ### What goes wrong: the wrong role name
#
# The service itself answers a mistyped name with a bare 404. Here the error says which role there is.

# %% tags=["typed"]
with rr.show_error():
    cloud.instances["web-1"].metadata.credentials("EcsRamRol")

# %% [markdown]
# ### What goes wrong: no role at all
#
# In your world `batch-1` may have one by now. In a second, fresh sandbox (removed at the end) it has none.

# %% tags=["typed"]
with rr.Sandbox() as fresh, rr.show_error():
    rr.connect(fresh).instances["batch-1"].credentials()

# %% [markdown]
# ## It ends
#
# In the sandbox you need not wait for six hours. This ends every temporary credential at once. In the panel: **Expire
# now**. (A real metadata service cannot be told to; in a live session the card says so.)

# %% tags=["typed"]
with rr.show_error():
    cloud.sandbox.expire()

# %% [markdown]
# The program still holds the old one, and its *Expiration* still lies ahead, so it uses it. OSS refuses
# (`SecurityTokenExpired`); a fresh one is fetched, and the call is made again. You see only that it works.
# (In a panel: **Who am I there?** uses the credential too, and says what happened.)

# %% tags=["typed"]
cloud.buckets["sandbox-photos"].using(cloud.instances["web-1"]).head("testfolder/example.png")

# %% [markdown]
# The wire shows what really happened. Look for a `HeadObject` with the status 403, requests to `IMDS` (the metadata
# service), and a second `HeadObject` with 200.

# %% tags=["panel"]
rr.widgets.WirePanel(cloud)

# %% tags=["typed"]
cloud.wire

# %% [markdown]
# ## Use it whole: the mixed triple
#
# The program on that documentation page reads the three values with three calls. Each call looks for itself. If a new
# credential arrives in between, the program holds parts of two, and the service refuses: the key does not fit the
# token. Here the sandbox is made to renew its credentials all the time for two seconds, and each way takes triples as
# fast as it can. In the first panel: **Show the mixed-triple trap**, then **Show the trap**. Look at how many were mixed.

# %% tags=["typed"]
cloud.instances["web-1"].mixed_triples()

# %% [markdown]
# ## Exercises
#
# For exercise 1, if you click:

# %% tags=["panel"]
rr.widgets.InstancesPanel(cloud, instances=["web-2"])

# %% [markdown]
# ### Exercise 1
#
# Let **web-2** serve metadata in security hardening mode only. (By clicks: above, **Security hardening mode
# only**.)

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q1)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q1.check()

# %% [markdown]
# ### Exercise 2
#
# Be a program on **windows-1** and fetch the credential of its role, in security hardening mode. (By clicks: choose
# `windows-1` in the first panel.)

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q2)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q2.check()

# %% [markdown]
# ### Exercise 3
#
# Fetch a credential on **windows-1**, end it, and fetch the fresh one there. (By clicks, in the first panel: **Get
# credential**, **Expire now**, **Refresh**.)

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q3)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q3.check()

# %% [markdown]
# ## What you learned
#
# 1. The metadata service gives a role's credential to any program on the instance; security hardening mode asks for a token
#    first.
# 2. A credential ends. A good client fetches a fresh one and tries once more.
# 3. Key, secret and token belong together: take all three from one answer.
#
# Ask yourself:
#
# <details><summary>Who can fetch the credential of an instance's role?</summary>Every program on that instance, of
# whatever user, and in normal mode whoever can make one of them send a GET.</details>
#
# <details><summary>You detach the role. Does a program that already holds a credential lose it?</summary>No. What was
# handed out stays valid until it expires. Take permissions from the role to stop it at once.</details>
#
# <details><summary>Why does the metadata service serve the same credential again and again?</summary>It is valid for
# hours; a new one is made some time before the end, and until then everybody gets the same.</details>
#
# Next: [04 Download an object](04_download.ipynb)
